"""Sheets that can be chosen from: what the browser is told, and what it is believed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ddcore.sets import render
from pages.components import grid, influence_view
from tests.pages.fakes import images

NAMES = ("cat", "<b>dog</b>")
LABELS = [1, 0, 1, 0, 1, 0]


@pytest.fixture
def told(monkeypatch):
    """What the browser is told of a sheet, and the pixels (n, C, H, W) it finds in the picture."""
    kept = {}
    monkeypatch.setattr(grid, "address", lambda content, place: kept.setdefault(place, content))

    def describe(what: grid.Sheet) -> tuple[dict, np.ndarray]:
        data = grid.describe(what, what.shown, str(len(kept)))
        picture = np.asarray(Image.open(io.BytesIO(data["sprite"])).convert("RGB"))
        w, h = data["width"], data["height"]
        count = sum(size for _, size in data["groups"])
        places = [divmod(i, data["columns"]) for i in range(count)]
        cells = [picture[y * h : (y + 1) * h, x * w : (x + 1) * w] for y, x in places]
        return data, np.moveaxis(np.stack(cells), -1, 1)

    return describe


@pytest.mark.parametrize("mode", list(render.MODES))
@pytest.mark.parametrize("shape", [(3, 5, 4), (1, 8, 8)])
def test_the_picture_holds_every_pixel_in_the_order_of_the_groups(told, mode, shape):
    pixels = images(count=6, shape=shape)
    data, cells = told(grid.by_class(pixels, LABELS, NAMES, mode=mode))
    order = [1, 3, 5, 0, 2, 4]
    assert data["groups"] == [("cat", 3), ("<b>dog</b>", 3)]
    assert data["words"][1] == "cat, image 2 of 3"
    expected = render.to_uint8(pixels[order], mode)
    np.testing.assert_array_equal(cells, np.broadcast_to(expected, cells.shape))


def test_texts_and_borders_follow_their_images(told):
    words, colours = [f"number {i}" for i in range(6)], [f"#00000{i}" for i in range(6)]
    what = grid.Sheet(images(count=6), words, [("", [4, 0])], words, colours)
    data, cells = told(what)
    assert data["words"] == data["lines"] == ["number 4", "number 0"]
    assert data["borders"] == ["#000004", "#000000"]
    assert len(cells) == 2


def test_only_colours_are_borders(told):
    with pytest.raises(ValueError, match="borders: 'red;"):
        told(grid.Sheet(images(count=1), ["one"], borders=["red; background: url(x)"]))


def test_few_images_per_class_stand_in_columns_and_many_in_rows():
    few = grid.by_class(images(count=6), LABELS, NAMES)
    assert few.across
    assert not grid.by_class(images(count=12), [0, 1] * 6, NAMES).across
    one = grid.by_class(images(count=6), LABELS, NAMES, only=1)
    assert (one.shown, one.across) == ([("", [0, 2, 4])], False)
    without = grid.by_class(images(count=2), [0, 0], NAMES)
    assert without.shown == [("cat", [0, 1])]  # a class without images has no place


def test_a_sheet_has_an_end(monkeypatch):
    monkeypatch.setattr(grid, "MOST", 5)
    groups = [("a", [0, 1, 2]), ("b", [3, 4, 5]), ("c", [6])]
    assert grid._shortened(groups) == [("a", [0, 1, 2]), ("b", [3, 4])]


def test_a_browser_is_not_believed():
    assert grid._places([2, 0, "1", -1, 7, True, None, 1.0, [1]], 3) == [2, 0]
    for told in (None, "12", {"0": 1}, 3):
        assert grid._places(told, 3) == []
    assert grid.within([5, 1, 1, 9], [1, 5], grid.MANY) == (1, 5)
    assert grid.within([5, 1], [1, 5], grid.ONE) == (1,)
    assert grid.within([5, 1], [1, 5], "") == ()


def test_the_colour_of_worth():
    colours = influence_view.worth_colours(np.array([-0.2, 0.0, 0.4]))
    assert colours[1] == "#d9d9d9"
    assert colours[2] == "#2166ac"  # the largest
    assert int(colours[0][1:3], 16) > int(colours[0][5:7], 16)
    assert influence_view.worth_colours(np.zeros(2)) == ["#d9d9d9"] * 2
