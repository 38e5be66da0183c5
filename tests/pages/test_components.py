"""The shared pieces: links, lossless sheets, colours, the command line, page discovery."""

from __future__ import annotations

import io
import shlex
import tomllib

import numpy as np
import pytest
from PIL import Image

from ddcore.base import paths
from ddcore.cli import setting
from ddcore.cli.program import parser
from ddcore.data.spec import DataSpec
from ddcore.distil.settings import make_spec
from ddcore.sets import render
from pages.components import charts, runs, settings_form, sheet, shell
from tests.pages.fakes import SHAPE, images


def luminance(colour: str) -> float:
    """Relative luminance (WCAG)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio (WCAG)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_are_readable_in_both_modes(mode):
    config = tomllib.loads((paths.PROJECT / ".streamlit" / "config.toml").read_text())
    theme = config["theme"][mode]
    back = theme["backgroundColor"]
    assert contrast(theme["textColor"], back) > 7
    assert contrast(theme["linkColor"], back) > 4.5
    assert contrast(theme["primaryColor"], "#ffffff") > 4.5  # text on primary buttons
    assert contrast(theme["primaryColor"], back) > 3
    for colour in charts.COLOURS:
        assert contrast(colour, back) > 3, colour


def test_every_page_is_in_the_sidebar_in_order():
    entries = shell.pages()
    files = [f"pages/{p.name}" for p in (paths.PROJECT / "pages").glob("[0-9]*.py")]
    assert sorted(e.path for e in entries) == sorted(["app.py", *files])
    numbers = [e.path.removeprefix("pages/").partition("_")[0] for e in entries[1:]]
    assert entries[0].path == "app.py"
    assert numbers == sorted(numbers)
    assert all(e.title and e.icon and e.about for e in entries)


@pytest.mark.parametrize("left", [None, ["a long class name", *map(str, range(4))]])
@pytest.mark.parametrize("top", [None, ["first", "second"]])
def test_sheets_are_lossless_with_and_without_labels(left, top):
    pixels = images()
    plain = render.canvas(pixels, 5, 2, 3, gap=sheet.GAP, mat=sheet.MAT)
    picture = render.encode(sheet.labelled(plain, left, top), sheet.EFFORT)
    shown = np.asarray(Image.open(io.BytesIO(picture)).convert("L"))
    grid = render.layout(5, 2, 8, 8, 3, sheet.GAP)
    dx, dy = shown.shape[1] - grid.width, shown.shape[0] - grid.height
    assert (dx > 0) == bool(left) and (dy > 0) == bool(top)
    for image, (x0, y0, x1, y1) in zip(render.to_uint8(pixels), grid.boxes):
        cell = shown[y0 + dy : y1 + dy, x0 + dx : x1 + dx]
        assert np.array_equal(cell[::3, ::3], image[0])


def test_clipped_share_is_said():
    assert "No value is clipped" in sheet.how(np.full((1, 1, 2, 2), 0.5), 4, "clip")
    assert "25 % of the values" in sheet.how(np.array([[[[0.5, 1.2], [0.1, 0.9]]]]), 4, "clip")
    assert "Each pixel is drawn 4 × 4." in sheet.how(images(), 4, "minmax")


def test_scale_fits_and_is_whole():
    assert sheet.fit(8, 10, 820, 10) == 9
    assert sheet.fit(8, 10, 820, 4) == 4
    assert sheet.fit(32, 100, 400, 10) == 1


def test_labels_follow_the_steps_of_a_method():
    spec = {"ipc": 4, "params": {"steps": 2}}
    assert runs.labels_of(spec, 8, 2) == [0, 0, 1, 1, 0, 0, 1, 1]
    assert runs.labels_of({"ipc": 2, "params": {}}, 4, 2) == [0, 0, 1, 1]
    assert runs.labels_of({"ipc": 1, "params": {}}, 6, 2) == [0, 0, 0, 1, 1, 1]  # more are decoded


def test_every_method_has_a_colour_and_dash_of_its_own():
    from ddcore.distil.contract import methods

    styles = [charts.method_style(name) for name in methods()]
    assert len(set(styles)) == len(styles)


def test_the_command_line_makes_the_same_run():
    settings = [("lr", "2.5"), ("net.width", "8"), ("protocol", "t300")]
    line = settings_form.command("dm", DataSpec(), 2, 3, "teaching", settings)
    options = parser().parse_args(shlex.split(line)[3:])
    given = [setting(s) for s in options.set]
    common = {"ipc": 2, "seed": 3, "preset": "teaching"}
    there = make_spec(
        options.method,
        DataSpec(),
        SHAPE,
        ipc=options.ipc,
        seed=options.seed,
        preset=options.preset,
        settings=given,
    )
    assert there == make_spec("dm", DataSpec(), SHAPE, settings=settings, **common)
