"""Schemas of results: what is written is read back, the same to the letter; what is missing is named."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

import pytest

from analysis.results import LEFT_OUT, Found, Result, from_dict
from analysis.runs import Run
from ddcore.base.errors import Damaged
from ddcore.data.spec import DataSpec

RUN = Run("0" * 16, "dm", "Distribution matching", 1, 10)


@dataclass(frozen=True)
class Inner:
    """Of one set."""

    share: float | None
    counts: list[int]
    more: int | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class Made(Found):
    """Every kind of field there is."""

    sets: dict[str, Inner]
    pairs: tuple[Inner, ...]
    names: tuple[str, ...]
    table: list[list[float]]
    best: Inner | None
    late: tuple[str, ...] = ()


def result(found: Made) -> Result[Made]:
    """It, with what every analysis stores."""
    return Result(
        data=DataSpec(),
        runs=(RUN,),
        data_label="Digits",
        class_names=("0", "1"),
        shape=(1, 8, 8),
        found=found,
        versions={"numpy": "2"},
        device="cpu",
        work=1.0,
        seconds=2.0,
    )


ONE, TWO = Inner(0.5, [1, 2]), Inner(None, [], more=3)
FOUND = Made({RUN.key: ONE}, (ONE, TWO), ("a", "b"), [[1.0, 2.0]], None)


def test_what_is_written_is_read():
    whole = result(FOUND)
    text = json.dumps(whole.to_dict())
    again = from_dict(Made, json.loads(text))
    assert again == whole
    assert json.dumps(again.to_dict()) == text


def test_the_file_is_flat_and_in_the_order_of_the_fields():
    stored = result(FOUND).to_dict()
    own = [f.name for f in dataclasses.fields(Made)]
    assert [name for name in stored if name in own] == own
    assert list(stored)[:5] == ["data", "runs", "data_label", "class_names", "shape"]
    assert list(stored)[-4:] == ["versions", "device", "work", "seconds"]  # no cpu_seconds


def test_none_is_written_but_where_it_is_left_out():
    stored = result(FOUND).to_dict()
    assert stored["pairs"] == [
        {"share": 0.5, "counts": [1, 2]},
        {"share": None, "counts": [], "more": 3},
    ]
    assert stored["best"] is None


def test_what_is_missing_is_named_and_more_is_left_alone():
    stored = result(FOUND).to_dict()
    del stored["late"], stored["sets"][RUN.key]["counts"]
    with pytest.raises(Damaged, match="'counts', which Inner has to have"):
        from_dict(Made, stored)
    stored = {**result(FOUND).to_dict(), "of another version": 1}
    del stored["late"]
    assert from_dict(Made, stored) == result(FOUND)
