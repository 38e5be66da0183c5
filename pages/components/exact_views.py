"""The experiment of the page Exact: controls, two models side by side, what breaks it, the race with KIP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from analysis.printed import provenance
from analysis.printed.panel import Panel
from ddcore.base.foreign_text import plain
from ddcore.data.spec import DataSpec
from ddcore.kernels.spec import MAPS, KernelSpec
from ddcore.tasks.store import Task
from pages.components import charts, data_views, links, sheet, take_away, teach

if TYPE_CHECKING:
    from analysis.single.exact_lab import Lab, Trial, TrialOutcome

TITLES = {
    "linear": "Pixels",
    "fcnn": "Random network",
    "rff": "Fourier features",
    "affine": "Linear network, wider than the image",
}
WIDTHS = {"": "as many as pixels", "128": "128, twice as many"}
LAMBDAS = (0.0, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.01, 1.5)
ALL_DATA = (
    "«All data» are all training images but the tenth of each class that is held out to choose λ, as in the "
    "authors' code (there a twentieth)."
)


@dataclass(frozen=True)
class Controls:
    """What the controls say."""

    kernel: KernelSpec
    trial: dict[str, Any]


# --- controls -------------------------------------------------------------------------------------


def controls() -> Controls:
    """The model, the set, and how it is to be trained on."""
    left, middle, right = st.columns(3, gap="large")
    with left:
        st.markdown("**The model**")
        kind = links.choice(
            "Features", {k: TITLES[k] for k in MAPS}, "map", default="linear", width="stretch"
        )
        width = "0"
        if kind in ("fcnn", "rff"):
            width = links.choice("How many features", WIDTHS, "features") or "0"
        known = {f"{v:g}": f"{v:g}" if v else "best on validation data" for v in LAMBDAS}
        lam = links.choice(
            "Ridge λ of the model of all data", known, "lam", widget=st.select_slider
        )
    with middle:
        st.markdown("**The set**")
        points = st.slider(
            "Images m",
            1,
            100,
            10,
            key="m",
            bind="query-params",
            disabled=teach.off("view"),
            help="Ten classes: 10 is one each.",
        )
        start = links.choice(
            "Start from",
            {"noise": "Noise", "real": "Real images"},
            "start",
            widget=st.segmented_control,
        )
    with right:
        st.markdown("**Training on the set**")
        known = {f"{v:g}": f"{v:g} ×" if v else "0" for v in SHARES}
        share = links.choice(
            "Its ridge λ_S, as a share of the largest possible",
            known,
            "ridge",
            widget=st.select_slider,
        )
        root = "+"
        if float(share):
            root = links.choice(
                "Root", {"+": "+ (larger)", "-": "− (smaller)"}, "root", widget=st.segmented_control
            )
    kernel = KernelSpec(kind=kind, width=int(width), ridge=0.0)
    trial = {"points": points, "start": start, "root": root}
    trial |= {"lam": float(lam), "share": float(share)}
    return Controls(kernel, trial)


def lab(decoded: Task, spec: DataSpec, kernel: KernelSpec) -> Lab:
    """The dataset with the model of all data; kept while the page is open anywhere."""
    return _lab(str(decoded.folder), _stamp(decoded), kernel.to_dict(), decoded, spec)


def _stamp(decoded: Task) -> int:
    return (decoded.folder / "done.json").stat().st_mtime_ns


@st.cache_resource(max_entries=8, show_spinner="Loading the numerical library once ...")
def _lab(folder: str, stamp: int, kernel: dict, _decoded: Task, _spec: DataSpec) -> Lab:
    from analysis.single.exact_lab import Lab

    return Lab(data_views.load(_decoded, _spec), KernelSpec.from_dict(kernel))


# --- the outcome ----------------------------------------------------------------------------------


def outcome(found: TrialOutcome, names: list[str]) -> None:
    """Both models, how far they are apart, and the images."""
    if found.refused:
        st.error(plain(found.refused), icon=":material/block:")
        st.caption(
            "A singular value s of the features becomes s / (s² + λ_S), at most 1 / (2 √λ_S): beyond the "
            "bound no images can have the values that the model needs. Nothing is clipped in silence."
        )
        return
    check, theory = found.check, found.diagnostics
    verdict(check.weights, check.exact)
    whole, small, apart, agree = st.columns(4)
    whole.metric(
        "Model of all data",
        f"{100 * found.whole_accuracy:.1f} %",
        help=f"Test accuracy. {ALL_DATA}",
    )
    small.metric(
        f"Model of {len(found.pixels)} images",
        f"{100 * found.accuracy:.1f} %",
        help="Test accuracy",
    )
    apart.metric(
        "Largest difference",
        f"{max(check.test_output, check.random_output):.0e}",
        help="Of outputs, relative to the largest output, over test images and random noise",
    )
    agree.metric(
        "Called alike",
        f"{100 * min(check.test_agreement, check.random_agreement):.1f} %",
        help="Share of images that both models call the same class; the smaller of test images and noise",
    )
    st.caption(
        f"λ = {found.lam:g}, λ_S = {found.lambda_s:.3g} (at most {found.bound:.3g}). Rank of the model "
        f"{theory.rank_weights}; rank of the set {theory.rank}, condition {theory.condition:.3g}. "
        f"{theory.reason.capitalize()}. "
        + ("Theory promises exactness. " if theory.guaranteed else "Theory promises nothing here. ")
        + ALL_DATA
    )
    pictures(found, names)
    stored(check)


def verdict(error: float, exact: bool) -> None:
    """The badge, never without the measured error."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if exact:
            st.badge("exact", icon=":material/check_circle:", color="green")
            st.markdown(
                f"Relative error of the weights, recomputed from the images: **{error:.0e}**"
            )
        else:
            st.badge("not exact", icon=":material/error:", color="orange")
            st.markdown(
                f"Relative error of the weights, recomputed from the images: **{error:.2g}**"
            )


def pictures(found: TrialOutcome, names: list[str]) -> None:
    """The images, in their own range."""
    shown = [names[c] for c in found.classes] if len(found.pixels) <= 20 else None
    columns = min(len(found.pixels), 20)
    outside = sheet.clipped(found.pixels)
    low, high = float(found.pixels.min()), float(found.pixels.max())
    moved = found.diagnostics.moved
    if moved is not None and moved < 0.01:
        st.info(
            "These are real training images, unchanged: with so many the labels alone carry the model. "
            "Do not call them synthetic.",
            icon=":material/content_copy:",
        )
    sheet.show(
        found.pixels,
        columns=columns,
        top=shown if shown and len(shown) == columns else None,
        key="exact.images",
        mode="minmax",
        max_width=860,
        max_scale=8,
        alt=f"{len(found.pixels)} constructed images",
        caption=f"Values from {low:.3g} to {high:.3g}, where real images have 0 to 1; "
        f"{100 * outside:.0f} % lie outside.",
    )


def stored(check: Any) -> None:
    """What rounding of the stored images does to the weights."""
    st.markdown(
        "| images stored as | error of the weights |\n| --- | ---: |\n"
        f"| 64-bit floats | {size(check.weights)} |\n| 32-bit floats | {size(check.float32)} |\n"
        f"| 8-bit integers, as in a PNG | {size(check.uint8)} |"
    )


def size(error: float) -> str:
    """An error for reading: its power of ten while it is small."""
    return f"{error:.0e}" if error < 0.01 else f"{error:.2g}"


def error_curve(
    errors: dict[str, list[float]], points: tuple[int, ...], rank: int, line: str
) -> None:
    """The cliff: error of the weights against the number of images; `line` says what it is of."""
    shown = error_panel(errors, points, rank)
    charts.show(shown.figure, key="exact.curve", alt=shown.text)
    figures(shown, "exact.curve", "exact-error", line)


def figures(shown: Panel, key: str, stem: str, line: str) -> None:
    """A panel as files for papers."""
    with teach.part("downloads", f"{key}.figures"):
        take_away.popover([shown.title], lambda: [shown], key=key, stem=stem, line=line)


def error_panel(errors: dict[str, list[float]], points: tuple[int, ...], rank: int) -> Panel:
    """Error of the weights against the number of images."""
    styles = {"noise": (charts.COLOURS[0], "solid"), "real": (charts.COLOURS[1], "dash")}
    named = {"noise": "from noise", "real": "from real images"}
    series = [
        charts.Series(named[n], points, np.maximum(e, 1e-17).tolist(), *styles[n], markers=True)
        for n, e in errors.items()
    ]
    figure = charts.lines(series, x="images m", y="relative error of the weights", log_y=True)
    figure.update_yaxes(exponentformat="power")
    figure.add_hline(y=1e-8, line_dash="dot", line_color=charts.GREY)
    alt = f"Error of the weights falls to rounding at {rank} images, the rank of the model"
    return Panel("Error of the weights", figure, alt)


# --- the race -------------------------------------------------------------------------------------


def race(task: Task) -> None:
    """Agreement with the model of all data against seconds, closed form and KIP."""
    result = task.result()
    looks = [r for r in result["kip"] if r["seconds"] > 0]
    seconds, agreement = zip(*((r["seconds"], r["agreement"]) for r in looks))
    kip = charts.Series("KIP", seconds, agreement, charts.COLOURS[1], "dash", markers=True)
    here = ([result["construct_seconds"]], [result["agreement"]])
    mine = charts.Series("closed form", *here, charts.COLOURS[0], markers=True, symbol="star")
    figure = charts.lines([mine, kip], x="seconds", y="test images called alike", per_cent=True)
    figure.update_xaxes(type="log", dtick=1)
    st.markdown(
        f"The construction took **{1e3 * result['construct_seconds']:.1f} ms** and agrees with the model "
        f"of all data on **{100 * result['agreement']:.1f} %** of the test images; KIP took "
        f"**{result['kip_seconds']:.1f} s** for **{100 * result['kip_agreement']:.1f} %**: "
        f"**{result['ratio']:,.0f} times as long**, for {result['points']} images, on the same machine in "
        f"the same run. Both use the model of all data, which took {result['model_seconds']:.2g} s."
    )
    alt = f"Agreement over seconds: closed form at once, KIP {agreement[-1]:.0%} after {seconds[-1]:.1f} s"
    charts.show(figure, key="exact.race", alt=alt)
    seed = task.document()["spec"]["seed"]
    line = provenance.line([f"Race {task.key[:8]}", f"seed {seed}", f"on {result['device']}"])
    figures(Panel("Agreement", figure, alt), "exact.race", f"race-{task.key}", line)


def ceilings(rows: list[dict[str, Any]]) -> None:
    """What every kernel can reach at most."""
    lines = ["| model of all data | test accuracy | training images |", "| --- | ---: | ---: |"]
    lines += [f"| {r['kernel']} | {100 * r['accuracy']:.1f} % | {r['images']:,} |" for r in rows]
    st.markdown("\n".join(lines))


def run(of: Lab, trial: dict[str, Any]) -> tuple[Trial, TrialOutcome]:
    """The trial, and what came of it."""
    from analysis.single.exact_lab import Trial

    asked = Trial(**trial)
    return asked, of.run(asked)
