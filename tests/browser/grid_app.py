"""Sheets by themselves: two to choose from, one to look at; what is chosen is written below."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.components import grid

NAMES = tuple(f"class {c}" for c in "abcdefghij")
SHAPE = (3, 8, 8)


def pixels(count: int) -> np.ndarray:
    """Images that leave 0..1 a little."""
    return np.random.default_rng(count).normal(0.5, 0.5, (count, *SHAPE)).astype(np.float32)


def main() -> None:
    """The whole page."""
    st.set_page_config(layout="wide")
    st.title("Sheets")
    few = grid.by_class(pixels(20), np.arange(20) // 2, NAMES)
    first = grid.show(few, key="first", label="First sheet", pick=grid.MANY, together="both")
    hostile = [f"<img src=x onerror=alert({i})> " + "long name " * 3 for i in range(70)]
    many = grid.Sheet(
        pixels(70), hostile, [("<b>rows</b>", range(69, -1, -1))], hostile, ["#2166ac"] * 70
    )
    second = grid.show(many, key="second", label="Second sheet", pick=grid.ONE, together="both")
    grid.show(grid.Sheet(pixels(3), ["one", "two", "three"]), key="third", label="Third sheet")
    st.button("Again", key="again")
    st.write(f"chosen: {list(first)} and {list(second)}")


if __name__ == "__main__":
    main()
