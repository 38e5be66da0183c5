"""Distil: method, preset, size and settings; what it will cost; start."""

from __future__ import annotations

import shlex

import streamlit as st

from ddcore import estimate, jobs
from ddcore.errors import DDError
from ddcore.evaluation_spec import default_evaluation
from ddcore.methods import Method, methods
from ddcore.methods.spec import PRESETS, DistillSpec, make_spec
from pages.components import data_views, links, settings_form, shell, task_panel

PRESET_TEXT = {
    "quick": "Quick: a first look, small network, few iterations.",
    "teaching": "Teaching: the same idea, run long enough to be worth showing.",
    "paper": "Paper: as published, or as near as the images allow. Meant for a graphics card.",
}
VARIANT_TEXT = {
    "fixed": "fixed: one known initialisation",
    "unknown": "unknown: fresh initialisations",
}


def main() -> None:
    """The whole page."""
    st.title("Distil")
    st.markdown(
        "Choose how the synthetic images are made. The cost is stated before anything starts, and a set "
        "that was made before opens at once."
    )
    controls, right = st.columns([3, 2], gap="large")
    known = data_views.choices(shell.store())
    with controls:
        data = known[data_chooser(known)]
        ipc, seed, preset = size_and_preset()
        chosen = methods()[method_chooser(data, ipc, preset)]
        settings = variants(chosen)
    try:
        base = make_spec(
            chosen.name, data.spec, data.shape, ipc=ipc, seed=seed, preset=preset, settings=settings
        )
    except DDError as error:
        right.error(str(error), icon=":material/error:")
        return
    settings = settings + all_settings(base)
    with right:
        about(chosen)
        try:
            spec = make_spec(
                chosen.name,
                data.spec,
                data.shape,
                ipc=ipc,
                seed=seed,
                preset=preset,
                settings=settings,
            )
            start(spec, data)
        except DDError as error:
            st.error(str(error), icon=":material/error:")
    command(chosen.name, data, ipc, seed, preset, settings)


# --- controls -------------------------------------------------------------------------------------


def data_chooser(known: dict[str, data_views.Choice]) -> str:
    """The dataset, among those that are here."""
    chosen = links.choice("Dataset", {i: c.title for i, c in known.items()}, "data")
    shell.link("pages/1_Data.py", "Look at it, or add another", data=chosen)
    return chosen


def size_and_preset() -> tuple[int, int, str]:
    """Images per class, seed and preset."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        preset = links.choice(
            "Preset",
            {p: p.capitalize() for p in PRESETS},
            "preset",
            widget=st.segmented_control,
            help=" ".join(PRESET_TEXT.values()),
        )
        ipc = st.number_input(
            "Images per class",
            min_value=1,
            max_value=1000,
            value=1,
            key="ipc",
            bind="query-params",
            width=150,
        )
        seed = st.number_input(
            "Seed",
            min_value=0,
            max_value=2**31 - 1,
            value=0,
            key="seed",
            bind="query-params",
            width=150,
            help="Another seed gives another, equally valid set.",
        )
    st.caption(PRESET_TEXT[preset])
    return int(ipc), int(seed), preset


def method_chooser(data: data_views.Choice, ipc: int, preset: str) -> str:
    """The method: title, idea and what this preset of it takes."""
    captions = [f"{m.idea} {cost_hint(m, data, ipc, preset)}" for m in methods().values()]
    options = {name: m.title for name, m in methods().items()}
    return links.choice("Method", options, "method", widget=st.radio, captions=captions)


def cost_hint(chosen: Method, data: data_views.Choice, ipc: int, preset: str) -> str:
    """ "About 20 s with this preset.", or nothing where the preset does not fit the images."""
    try:
        spec = make_spec(chosen.name, data.spec, data.shape, ipc=ipc, preset=preset)
        guess = estimate.distillation(spec, shell.store(), data.shape, data.classes)
    except DDError:
        return ""
    return f"(About {estimate.duration(guess.seconds)} with this preset.)"


def variants(chosen: Method) -> settings_form.Settings:
    """The variants a method has, as settings."""
    return [
        (
            name,
            links.choice(
                name.capitalize(),
                {v: VARIANT_TEXT.get(v, v) for v in values},
                name,
                default=values[-1],
                widget=st.segmented_control,
            ),
        )
        for name, values in chosen.variants.items()
    ]


def all_settings(base: DistillSpec) -> settings_form.Settings:
    """Every setting behind an expander; a change of method or preset starts from its own values."""
    origin = (base.method, base.data.name, st.query_params.get("preset", ""), base.ipc)
    if st.session_state.setdefault("distil.origin", origin) != origin:
        st.session_state["distil.origin"] = origin
        settings_form.to_link([])
    changed = len(settings_form.from_link())
    label = f"All settings ({changed} changed)" if changed else "All settings"
    with st.expander(label, icon=":material/tune:", key="distil.settings", expanded=changed > 0):
        settings = settings_form.draw(base, f"distil.{'.'.join(map(str, origin))}")
    settings_form.to_link(settings)
    return settings


# --- what will happen -----------------------------------------------------------------------------


def about(chosen: Method) -> None:
    """Idea, caveat, formula and source of the method."""
    with st.container(border=True):
        st.markdown(f"**{chosen.title}**")
        st.markdown(chosen.idea)
        if chosen.caveat:
            st.caption(f"Keep in mind: {chosen.caveat}")
        with st.expander("Formula and source", icon=":material/function:"):
            st.latex(chosen.formula)
            st.caption(chosen.paper)


def start(spec: DistillSpec, data: data_views.Choice) -> None:
    """Cost and the start button; or a link, if the set exists or is on its way."""
    store = shell.store()
    task = store.task(spec)
    state = jobs.state(task)["state"]
    with st.container(border=True, key="distil.start"):
        count = data.classes * spec.ipc
        st.markdown(f"**{count:,} synthetic images** of {data.title}, {spec.net.label()}")
        if state == "done":
            st.markdown("These images have been made already, with exactly these settings.")
            shell.link("pages/4_Images.py", "Open them", icon=":material/grid_view:", run=spec.key)
            shell.link("pages/3_Run.py", "How it went", icon=":material/monitoring:", run=spec.key)
            return
        if state != "missing":
            task_panel.badge(state)
            shell.link(
                "pages/3_Run.py", "Go to this run", icon=":material/monitoring:", run=spec.key
            )
            return
        guess = estimate.distillation(spec, store, data.shape, data.classes)
        st.markdown(f"It will take {guess.sentence()}. Its evaluation follows.")
        if st.button("Start", key="distil.go", type="primary", icon=":material/play_arrow:"):
            jobs.submit(store, [spec, default_evaluation(spec.key, spec)])
            shell.go("pages/3_Run.py", run=spec.key)


def command(
    name: str,
    data: data_views.Choice,
    ipc: int,
    seed: int,
    preset: str,
    settings: settings_form.Settings,
) -> None:
    """The same run as a command line."""
    spec = data.spec
    words = ["python", "-m", "ddcore", "distill", name, "--dataset", spec.path or spec.name]
    words += ["--resolution", str(spec.resolution)] if spec.resolution else []
    words += ["--grey"] if spec.grey else []
    words += ["--ipc", str(ipc), "--seed", str(seed), "--preset", preset]
    for path, value in settings:
        words += ["--set", f"{path}={value}"]
    st.caption("The same from a terminal:")
    st.code(shlex.join(words), language="bash", wrap_lines=True)


with shell.page("Distil", section="Make", icon=":material/science:", about="Make synthetic images"):
    main()
