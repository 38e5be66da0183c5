"""Axes from what is typed, the cells they span, and the file that keeps them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, loguniform

from ddcore.base.errors import Damaged, DDError, NotReady, SpecError
from ddcore.data import resolve
from ddcore.distil.settings import make_spec
from ddcore.sweeps import axes, cells, file
from ddcore.sweeps.axes import Axes
from ddcore.tasks.store import Store


def expand(asked: Axes, name: str = "sweep") -> list[cells.SweepCell]:
    return cells.expand(name, asked, cells.stored(None, asked.dataset))


def test_values_are_typed_as_words_lists_and_ranges():
    asked = axes.make(
        method=["dm,dc", "bptt"],
        ipc=["1", "10"],
        seed=["0-2,7"],
        settings=["lr=0.1,1", "iterations=5"],
    )
    assert asked.method == ("dm", "dc", "bptt") and asked.ipc == ("1", "10")
    assert asked.seed == ("0", "1", "2", "7")
    assert asked.settings == (("lr", ("0.1", "1")), ("iterations", ("5",)))
    assert asked.varied == ("method", "ipc", "lr")
    assert asked.count == len(list(asked.places("x"))) == 3 * 2 * 4 * 2


def test_values_with_commas_stand_between_semicolons():
    assert axes.setting("a=8,16;32,64") == ("a", ("8,16", "32,64"))
    assert axes.setting("a=8,16;") == ("a", ("8,16",))
    assert axes.setting("augment=") == ("augment", ("",))


def test_a_cell_is_the_run_that_one_would_ask_for_by_hand():
    asked = axes.make(method=["dm", "dc"], ipc=["1", "10"], seed=["3"], settings=["lr=0.5,2"])
    found = expand(asked)
    by_hand = [
        make_spec(method, resolve("digits"), (1, 8, 8), ipc=ipc, seed=3, settings=[("lr", lr)])
        for method in ("dm", "dc")
        for ipc in (1, 10)
        for lr in ("0.5", "2")
    ]
    assert [c.run for c in found] == by_hand
    assert [c.chain()[1].run_key for c in found] == [run.key for run in by_hand]


def test_what_is_kept_and_typed_again_is_the_same(store):
    asked = axes.make(
        method=["dm"],
        settings=["augment=color,crop;flip", "lr=1"],
        points=3,
        over=["momentum=uniform:0:0.9", "iterations=whole:2:50"],
    )
    made = file.keep(store, "a-b.c", asked)
    assert file.read(store, "a-b.c") == made and made.axes == asked
    assert not list(store.folders()), "it is no task"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": ["magic"]}, "method = 'magic' is not allowed: expected one of bptt"),
        ({"method": ["dm", "dm"]}, "method = 'dm,dm' is not allowed: expected at least one"),
        ({"preset": ["slow"]}, "preset = 'slow' is not allowed: expected one of quick"),
        ({"ipc": ["ten"]}, "ipc = 'ten' is not allowed: expected whole numbers such as"),
        ({"seed": ["4-0"]}, "seed = '4-0' is not allowed: expected a range upwards"),
        ({"seed": ["1,,2"]}, "seed = '1,,2' is not allowed: expected values between"),
        ({"settings": ["lr"]}, "write field=value"),
        ({"settings": ["ipc=1"]}, "set = 'ipc' is not allowed: expected another field"),
        ({"settings": ["lr=1", "lr=2"]}, "set = 'lr' is not allowed: expected another field"),
        ({"over": ["lr=log:1:2"]}, "A search needs both"),
        ({"points": 3}, "A search needs both"),
        ({"points": 3, "over": ["lr=log:0:2"]}, "a low end above 0 for log"),
        ({"points": 3, "over": ["lr=cubic:1:2"]}, "expected field=law:low:high with one of log"),
        ({"points": 3, "over": ["lr=log:2:1"]}, "low below high"),
        ({"points": 3, "over": ["lr=log:1:2:3"]}, "expected field=law:low:high"),
        ({"points": 3, "over": ["lr=log:1:inf"]}, "expected field=law:low:high"),
        ({"points": 3, "over": ["lr=whole:1:2.5"]}, "whole ends for whole"),
        ({"points": -1, "over": ["lr=log:1:2"]}, "search = -1 is not allowed"),
        ({"seed": ["0-9999"], "ipc": ["1,2"]}, "cells = 20000 is not allowed: expected at most"),
    ],
)
def test_what_is_not_understood_is_one_sentence(changes, words):
    with pytest.raises(DDError) as refused:
        axes.make(**{"method": ["dm"], **changes})
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_the_same_name_draws_the_same_cells():
    asked = axes.make(method=["dm", "dc"], points=20, over=["lr=log:0.01:10"], seed=["0-1"])
    first = [cell.run.key for cell in expand(asked)]
    assert first == [cell.run.key for cell in expand(asked)] and len({*first}) == 80
    assert not {*first} & {cell.run.key for cell in expand(asked, "another")}
    # Both methods meet at the same values, and more points begin with these.
    values = asked.over[0].draw("sweep", 20)
    assert [c.at["lr"] for c in expand(asked)[::2]] == values * 2
    assert asked.over[0].draw("sweep", 50)[:20] == values


def test_values_follow_their_law():
    drawn = [float(v) for v in axes.law("lr=log:0.01:10").draw("many", 1000)]
    assert kstest(drawn, loguniform(0.01, 10).cdf).pvalue > 0.01
    drawn = [float(v) for v in axes.law("lr=uniform:-1:3").draw("many", 1000)]
    assert kstest([(v + 1) / 4 for v in drawn], "uniform").pvalue > 0.01
    counts = [axes.law("n=whole:2:4").draw("many", 900).count(str(n)) for n in range(1, 6)]
    assert counts[0] == counts[4] == 0 and min(counts[1:4]) > 240


@given(st.floats(1e-9, 1e9), st.floats(1.001, 1e6), st.text(max_size=5))
def test_a_drawn_value_lies_within_its_ends(low, factor, name):
    law = axes.Law("lr", "log", low, low * factor)
    for value in map(float, law.draw(name, 5)):
        near = math.isclose(value, low, rel_tol=1e-9) or math.isclose(value, law.high, rel_tol=1e-9)
        assert near or low <= value <= law.high


def test_cells_that_cannot_be_run_have_their_sentence():
    asked = axes.make(
        method=["dm", "kip"], seed=["0-1"], settings=["momentum=0.5", "labels=hard,learned"]
    )
    found = cells.problems(expand(asked))
    told = {
        (dict(place)["method"], dict(place)["labels"]): (seeds, text)
        for place, seeds, text in found
    }
    assert set(told) == {("dm", "learned"), ("kip", "hard"), ("kip", "learned")}
    assert all(seeds == 2 for seeds, _ in told.values())
    assert "something else with dm: labels do not enter" in told["dm", "learned"][1]
    assert told["kip", "hard"][1].startswith("momentum = '0.5' is not allowed: expected one of")


def test_the_same_run_is_no_second_cell():
    found = expand(axes.make(method=["dm"], settings=["lr=1,1.0"]))
    assert found[0].run and not found[1].run
    assert found[1].problem == "It is the same run as that of lr 1."


def test_a_dataset_that_is_not_there_is_said_of_its_cells():
    found = expand(axes.make(method=["dm"], dataset=["digits", "./nowhere"]))
    assert found[0].run and "nowhere does not exist" in found[1].problem


def test_a_name_is_taken_by_its_axes(store):
    asked, other = axes.make(method=["dm"]), axes.make(method=["dc"])
    first = file.keep(store, "one", asked)
    assert file.keep(store, "one", asked) == first
    with pytest.raises(
        DDError, match=r"There is a sweep one with other axes .ddx sweep one --meth"
    ):
        file.keep(store, "one", other)
    assert file.keep(store, "one", other, replace=True).axes == other
    file.keep(store, "two", asked)
    assert {*file.names(store)} == {"one", "two"}


def test_a_shipped_sweep_comes_last_and_gives_way_to_an_own_one(store, tmp_path):
    shipped, own = axes.make(method=["dm"]), axes.make(method=["dc"])
    store.gallery = tmp_path / "gallery"
    assert file.names(store) == []
    there = file.keep(Store(store.gallery, gallery=None), "all", shipped)
    file.keep(store, "mine", own)
    assert file.names(store) == ["mine", "all"]
    assert file.read(store, "all") == file.keep(store, "all", shipped) == there
    assert not file.path(store, "all").exists()
    with pytest.raises(DDError, match="There is a sweep all with other axes"):
        file.keep(store, "all", own)
    assert file.keep(store, "all", own, replace=True) == file.read(store, "all")
    assert file.read(store, "all").axes == own and file.names(store)[0] == "all"


@pytest.mark.parametrize("name", ["", "../up", "Großes", "a b", ".hidden", "x" * 61])
def test_a_name_is_no_path(store, name):
    with pytest.raises(SpecError, match="name = "):
        file.read(store, name)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"version": 2}', '{"version": 1, "axes": {"method": "dm"}, "created": 0}'],
)
def test_a_file_that_is_none_is_one_sentence(store, text):
    place = file.path(store, "bad")
    place.parent.mkdir(parents=True)
    place.write_text(text)
    with pytest.raises(Damaged, match=r"bad\.json"):
        file.read(store, "bad")
    with pytest.raises(NotReady, match="There is no sweep worse: there are bad"):
        file.read(store, "worse")
