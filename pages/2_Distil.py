"""Distil: method, preset, size and settings; what it will cost; start."""

from __future__ import annotations

import streamlit as st

from ddcore.errors import DDError
from ddcore.methods import Method, methods
from ddcore.methods.spec import PRESETS, DistillSpec, make_spec
from pages.components import data_views, distil_views, links, settings_form, shell

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
    st.title("Distil", anchor=False)
    st.markdown(
        "Choose how the synthetic images are made. The cost is stated before anything starts, and a set "
        "that was made before opens at once."
    )
    controls, right = st.columns([3, 2], gap="large")
    known = data_views.choices(shell.store())
    with controls:
        data = known[data_chooser(known)]
        method_here = st.container()  # its cost hints depend on what is chosen below it
        ipc, seed, preset = size_and_preset()
        with method_here:
            chosen = methods()[method_chooser(data, ipc, preset)]
            settings = variants(chosen)

    def spec_of(chosen_settings: settings_form.Settings) -> DistillSpec:
        return make_spec(
            chosen.name,
            data.spec,
            data.shape,
            ipc=ipc,
            seed=seed,
            preset=preset,
            settings=chosen_settings,
        )

    try:
        settings = settings + all_settings(spec_of(settings))
        spec = spec_of(settings)
    except DDError as error:  # a value that is not allowed, said where the button would be
        right.error(str(error), icon=":material/error:")
        spec = None
    with right:
        distil_views.about(chosen)
        if spec:
            distil_views.start(spec, data)
    st.caption("The same from a terminal:")
    line = settings_form.command(chosen.name, data.spec, ipc, seed, preset, settings)
    st.code(line, language="bash", wrap_lines=True)


# --- controls -------------------------------------------------------------------------------------


def data_chooser(known: dict[str, data_views.Choice]) -> str:
    """The dataset, among those that are here."""
    chosen = links.choice("Dataset", {i: c.title for i, c in known.items()}, "data", remember=True)
    shell.link(
        "pages/1_Data.py",
        "Look at it, or add another",
        icon=":material/photo_library:",
        data=chosen,
    )
    return chosen


def size_and_preset() -> tuple[int, int, str]:
    """Images per class, seed and preset."""
    preset = links.choice(
        "Preset", {p: p.capitalize() for p in PRESETS}, "preset", widget=st.radio, horizontal=True
    )
    st.caption(PRESET_TEXT[preset])
    with st.container(horizontal=True):
        ipc = number("Images per class", "ipc", 1, 1, 1000, None)
        seed = number("Seed", "seed", 0, 0, 2**31 - 1, "Another seed gives another, equal set.")
    return ipc, seed, preset


def number(label: str, key: str, value: int, low: int, high: int, note: str | None) -> int:
    """A whole number that is part of the link."""
    return int(
        st.number_input(
            label,
            min_value=low,
            max_value=high,
            value=value,
            key=key,
            bind="query-params",
            width=170,
            help=note,
        )
    )


def method_chooser(data: data_views.Choice, ipc: int, preset: str) -> str:
    """The method: title, idea and what this preset of it takes."""
    captions = [
        f"{m.idea} {distil_views.cost_hint(m, data, ipc, preset)}" for m in methods().values()
    ]
    options = {name: m.title for name, m in methods().items()}
    return links.choice("Method", options, "method", widget=st.radio, captions=captions)


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
                widget=st.radio,
                horizontal=True,
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


with shell.page("Distil", section="Make", icon=":material/science:", about="Make synthetic images"):
    main()
