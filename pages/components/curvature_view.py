"""Curvature by clicking: a point of the trace chooses the iteration whose spectrum is shown below it."""

from __future__ import annotations

import streamlit as st

from analysis.contract import Arrays, Drawn
from analysis.suite.curvature.result import CurvatureResult
from ddcore.base.foreign_text import unescaped
from pages.components import charts

FIRST = "curvature.figure.0"


def draw(
    key: str, drawn: Drawn, result: CurvatureResult, arrays: Arrays, options: dict[str, str]
) -> None:
    """The figure; of the trace, points can be clicked."""
    if key != FIRST:
        charts.show(drawn.figure, key=key, alt=drawn.caption)
        return
    moments = arrays["spectra"].tolist()

    def choose() -> None:
        if points := st.session_state[key]["selection"]["points"]:
            at = min(range(len(moments)), key=lambda i: abs(moments[i] - points[0]["x"]))
            st.query_params["view_at"] = str(at)

    st.plotly_chart(
        drawn.figure,
        key=key,
        theme="streamlit",
        config=charts.CONFIG,
        alt=unescaped(drawn.caption),
        on_select=choose,
        selection_mode="points",
    )
