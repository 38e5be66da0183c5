"""A few images of an uploaded set as they will look."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ddcore.data.registry import datasets
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.sets import imported
from ddcore.sets.imported_spec import ImportTask
from ddcore.sets.importers import Report
from ddcore.sets.importers.scales import WHITENED
from pages.components import shell
from pages.components.open_views import SHOWN, Candidate

PREVIEW_CLASSES, PREVIEW_EACH = 20, 10
WIDTH, NAMES = 450, 90  # screen pixels of the preview and of the class names in it, about


def show(report: Report, spec: ImportTask, chosen: Candidate) -> None:
    """A few images of each class as they will look; stretched where their scale is not known yet."""
    from pages.components import sheet

    mean = np.array(spec.mean) if spec.mean else chosen.mean
    std = np.array(spec.std) if spec.std else chosen.std
    shown, names = places(report), class_names(chosen.spec, report.facts.classes)
    pixels = imported.preview(report, shown, spec.scale, mean, std)
    images = report.found.images[shown].astype(np.float32) if pixels is None else pixels
    each = places_each(report)
    hidden = [] if len(shown) == report.facts.images else [f"{len(shown)} of them."]
    if pixels is None:
        what = "whitening" if spec.scale in WHITENED else "the dataset"
        hidden.append(f"Colours come right once {what} is known, when the set is open.")
    look: dict[str, Any] = {
        "key": "open.preview",
        "mode": "clip" if pixels is not None else "minmax",
        "max_width": WIDTH,
        "max_scale": 8,
        "caption": " ".join(hidden),
    }
    what, classes = "Images of the uploaded set", len(shown) // each
    if each <= 5 and classes * (2 * images.shape[3] + 3) < WIDTH:  # side by side, doubled
        labels = np.repeat(np.arange(classes), each)
        sheet.by_class(images, labels, names[:classes], what=what, **look)
    else:
        sheet.show(
            images, columns=each, left=names[:classes], alt=f"{what}, {each} a class", **look
        )


def places(report: Report) -> np.ndarray:
    """Indices of the first images of the first classes, class after class; so many that fit doubled."""
    from ddcore.sets.importers.facts import class_order

    facts, found_set = report.facts, report.found
    order, _ = class_order(found_set.labels, facts.classes, found_set.steps)
    rows = order.reshape(found_set.steps, facts.classes, -1).transpose(1, 0, 2)
    rows = rows.reshape(facts.classes, -1)
    each = places_each(report)
    most = max(1, SHOWN // (each * math.prod(facts.shape)))
    return rows[: min(PREVIEW_CLASSES, most), :each].ravel()


def places_each(report: Report) -> int:
    """How many images of each class are shown."""
    room = max(4, min(PREVIEW_EACH, (WIDTH - NAMES) // (2 * report.facts.shape[2] + 3)))
    return min(room, report.facts.per_class)


def class_names(data: DataSpec, classes: int) -> tuple[str, ...]:
    """The dataset's names of the classes, or numbers while it has not been read."""
    if data.name in datasets():
        return datasets()[data.name].classes
    decoded = shell.store().task(dataset_task(data))
    if decoded.is_done():
        return tuple(decoded.result()["class_names"])
    return tuple(map(str, range(classes)))
