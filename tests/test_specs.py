"""Specs: keys, validation messages, round trips."""

import dataclasses
import importlib
import json
import pkgutil
import sys
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

import analysis
import ddcore
from ddcore.base.errors import SpecError
from ddcore.base.paths import GALLERY
from ddcore.base.specs import TaskSpec, task_class, task_from_document
from ddcore.data import DataSpec, registry
from ddcore.distil.contract import DistillSpec, methods
from ddcore.distil.settings import PRESETS, make_spec, presets_of, with_text_setting
from ddcore.nets import NetSpec
from ddcore.tasks.store import Store
from ddcore.training.protocols import PROTOCOLS

SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
SOURCE = {"digits": "bundled", "mnist": "torchvision", "cifar10": "torchvision"}


def data(name="digits"):
    return DataSpec(name=name, source=SOURCE[name])


EACH_METHOD = pytest.mark.parametrize("name", methods())


@EACH_METHOD
@pytest.mark.parametrize("source", registry.datasets().values(), ids=registry.datasets())
def test_every_preset_is_valid_and_fits_the_images(name, source):
    classes, images = len(source.classes), DataSpec(name=source.name, source=source.kinds[0])
    for ipc in (1, 10):
        known = presets_of(name, source.name, source.shape, ipc)
        assert {"quick", "teaching", "paper"} <= set(known) <= set(PRESETS)
        for preset in known:
            spec = make_spec(name, images, source.shape, ipc=ipc, preset=preset)
            assert spec.net.plan(source.shape, classes), (ipc, preset)
            try:
                work = methods()[name].cost(spec, source.shape, classes)
            except SpecError as refused:  # presets do not know how few classes share the budget
                assert classes < 10 and ipc == 1 and "fit into ipc = 1" in str(refused)
                continue
            assert work.macs > 0, (ipc, preset)


# --- the preset of an hour ------------------------------------------------------------------------

HOUR = {"protocol": "t300", "validations": "8"}
LONGER = {
    "dm": {"iterations": "5000", "real_batch": "128"},
    "dc": {"iterations": "2500"},
    "dsa": {"iterations": "2500"},
    "bptt": {"iterations": "1000", "decay_every": "600"},
    "mtt": {
        "iterations": "1000",
        "experts": "8",
        "epochs": "10",
        "inner_steps": "20",
        "expert_epochs": "2",
        "max_start": "8",
        "batch_syn": "50",
    },
}
# Computed for hours under these keys.
KEYS = {
    "dm": "29a98e38e86f1a11",
    "dc": "b8cde2ddc4328e44",
    "bptt": "0027187b1a9e1433",
    "mtt": "35025b2298ae89b5",
}
PARQUET = DataSpec(
    name="cifar10",
    source="parquet",
    fingerprint="3ded1e5fa7844abc9ddf2cef36008c355f4c8261824d64bd025e22d6dd8be1a7",
)


@pytest.mark.parametrize("name", LONGER)
def test_an_hour_is_teaching_with_more_of_what_counts(name):
    spec = make_spec(name, PARQUET, (3, 32, 32), ipc=10, preset="hour")
    settings = [*HOUR.items(), *LONGER[name].items()]
    same = make_spec(name, PARQUET, (3, 32, 32), ipc=10, preset="teaching", settings=settings)
    assert spec == same and spec.net.depth == 3
    assert name not in KEYS or spec.key == KEYS[name]


def test_experts_of_an_hour_keep_their_key():
    run = make_spec("mtt", PARQUET, (3, 32, 32), ipc=10, preset="hour")
    assert [spec.key for spec in methods()["mtt"].prepares(run)] == ["f221d47b5d650563"]


@EACH_METHOD
def test_an_hour_lies_between_teaching_and_paper(name):
    for dataset in ("mnist", "cifar10"):
        known = presets_of(name, dataset, SHAPES[dataset], 10)
        if "hour" not in known:
            continue
        assert list(known) == list(PRESETS)
        specs = [
            make_spec(name, data(dataset), SHAPES[dataset], ipc=10, preset=p)
            for p in ("teaching", "hour", "paper")
        ]
        work = [methods()[name].cost(spec, SHAPES[dataset], 10).macs for spec in specs]
        assert work == sorted(work) and work[1] < 3e14  # operations: an hour of two cores


@pytest.mark.parametrize(
    ("name", "shape"), [("dm", (1, 8, 8)), ("kip", (3, 32, 32)), ("dm", (3, 64, 64))]
)
def test_where_there_is_no_hour_the_presets_there_are_named(name, shape):
    with pytest.raises(SpecError, match=r"preset = 'hour' .*one of quick, teaching, paper\."):
        make_spec(name, data("cifar10"), shape, preset="hour")
    with pytest.raises(SpecError, match="one of quick, teaching, hour, paper"):
        make_spec("dm", data("cifar10"), (3, 32, 32), preset="best")


NOT_MIRRORED = [name for name, source in registry.datasets().items() if not source.flips]


@EACH_METHOD
def test_what_a_source_does_not_let_be_mirrored_is_not(name, monkeypatch):
    """Neither while distilling nor while judging, also of a dataset that no method has heard of."""
    known = registry.datasets()
    rings = dataclasses.replace(known["cifar10"], name="rings", flips=False)
    monkeypatch.setattr(registry.DATASETS, "_found", {**known, "rings": rings})
    for dataset in (*NOT_MIRRORED, "rings"):
        source = registry.get(dataset)
        spec_of = DataSpec(name=dataset, source=source.kinds[0])
        for preset in presets_of(name, dataset, source.shape):
            spec = make_spec(name, spec_of, source.shape, preset=preset)
            assert "flip" not in getattr(spec.params, "augment", ""), (dataset, preset)
            assert "flip" not in spec.protocol.augment, (dataset, preset)


def test_what_a_source_lets_be_mirrored_is():
    assert registry.mirrored("cifar10") and registry.mirrored("folder")
    assert "flip" in make_spec("dsa", data("cifar10"), (3, 32, 32)).params.augment


def test_document_round_trip_keeps_the_key():
    spec = make_spec("dd2018", data(), (1, 8, 8), settings=[("setting", "fixed")])
    again = task_from_document(json.loads(json.dumps(spec.document())))
    assert again == spec and again.key == spec.key


@given(seed=st.integers(0, 2**31 - 1), ipc=st.integers(1, 1000))
def test_key_depends_on_every_field_and_nothing_else(seed, ipc):
    spec = DistillSpec(method="dm", seed=seed, ipc=ipc)
    assert spec.key == DistillSpec(ipc=ipc, method="dm", seed=seed).key
    assert spec.key != spec.replace(seed=(seed + 1) % 2**31).key
    assert spec.key != spec.replace(params=spec.params.replace(lr=2.5)).key
    assert len(spec.key) == 16


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("ipc", "0", "ipc = 0 is not allowed: expected a number from 1 to 1000."),
        ("ipc", "two", "ipc = 'two' is not allowed: expected a whole number."),
        ("net.width", "-1", "width = -1"),
        ("net.norm", "spectral", "one of none, instance"),
        ("setting", "known", "one of fixed, unknown"),
        ("steps", "3", "a divisor of ipc = 1"),
        ("colour", "red", "one of the fields"),
        ("protocol", "best", "one of quick"),
        ("lr", "nan", "a finite number"),
    ],
)
def test_bad_values_are_named(path, text, words):
    spec = make_spec("dd2018", data(), (1, 8, 8))
    with pytest.raises(SpecError, match="not allowed") as caught:
        with_text_setting(spec, path, text)
    assert words in str(caught.value)


def test_settings_reach_parameters_network_and_protocol():
    spec = make_spec("dm", data(), (1, 8, 8))
    spec = with_text_setting(spec, "iterations", "7")
    spec = with_text_setting(spec, "net.width", "32")
    spec = with_text_setting(spec, "data.val_fraction", "0.2")
    spec = with_text_setting(spec, "protocol", "t300")
    assert (spec.params.iterations, spec.net.width, spec.data.val_fraction) == (7, 32, 0.2)
    assert spec.protocol == PROTOCOLS["t300"]


def test_network_knobs_take_defaults_and_refuse_strangers():
    assert NetSpec() == NetSpec(
        width=128, depth=3, norm="instance", activation="relu", pooling="avg"
    )
    with pytest.raises(SpecError, match="lenet has no width"):
        NetSpec(arch="lenet", width=10)
    with pytest.raises(SpecError, match="depth = 5"):
        NetSpec(depth=5).plan((1, 8, 8), 10)


def test_what_a_document_names_as_its_module_is_not_imported(monkeypatch):
    document = DistillSpec(method="dm").document()
    spec = task_from_document(document | {"module": "antigravity"})
    assert spec == DistillSpec(method="dm") and "antigravity" not in sys.modules
    with pytest.raises(SpecError, match="kind = 'x' is not allowed: expected one of accuracy"):
        task_from_document({"module": "ddcore.tasks.testing", "kind": "x", "spec": {}})


@pytest.mark.parametrize("fields", [None, [], 5, {"ipc": "x"}, {"net": []}, {"net": {"width": []}}])
def test_a_document_of_odd_shape_is_a_spec_error(fields):
    with pytest.raises(SpecError):
        task_from_document({"kind": "distill", "spec": fields})
    with pytest.raises(SpecError):
        task_from_document({"kind": ["distill"], "spec": {}})


def test_a_field_that_came_later_changes_no_key_until_it_is_used():
    """Of a protocol within specs; keys of everything that is shipped are compared below."""
    run = DistillSpec(method="dm")
    assert "precision" not in run.to_dict()["protocol"]
    half = run.replace(protocol=run.protocol.replace(precision="bfloat16"))
    assert half.key != run.key
    assert DistillSpec.from_dict(half.to_dict()) == half
    back = half.replace(protocol=half.protocol.replace(precision="float32"))
    assert back == run and back.key == run.key


def test_every_folder_of_the_gallery_opens_wherever_its_file_said_it_was():
    tasks = list(Store(GALLERY, gallery=None).folders())
    assert len(tasks) > 300 and len({t.kind for t in tasks}) > 15
    for task in tasks:
        document = task.document()
        spec = task_from_document(document | {"module": "no.such.place"})
        assert (spec.KIND, spec.key) == (task.kind, task.key)
        assert spec.to_dict() == document["spec"]


def test_every_kind_is_in_a_table():
    """Also the kinds of which nothing is shipped; what tests define has no place in tables."""
    for package in (ddcore, analysis):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    classes = [
        c for c in descendants(TaskSpec) if c.KIND and c.__module__[:5] in ("ddcor", "analy")
    ]
    assert len(classes) > 25
    for cls in classes:
        assert task_class(cls.KIND) is cls


def descendants(cls):
    return [c for child in cls.__subclasses__() for c in (child, *descendants(child))]


def test_types_of_fields_are_resolved_once_for_each_class(monkeypatch):
    DistillSpec(method="dm")
    monkeypatch.setattr(typing, "get_type_hints", lambda _: pytest.fail("resolved again"))
    DistillSpec(method="dm", seed=1)
    with_text_setting(DistillSpec(method="dm"), "seed", "2")
