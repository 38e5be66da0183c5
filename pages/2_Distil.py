"""Distil: method, preset, size and settings; what it will cost; start."""

from __future__ import annotations

import functools
from collections.abc import Callable

import streamlit as st

from ddcore.base.errors import DDError
from ddcore.base.fields import declared
from ddcore.base.foreign_text import plain
from ddcore.distil.contract import DistillSpec, Method, methods
from ddcore.distil.settings import make_spec, presets_of
from pages.components import (
    choices,
    data_views,
    distil_views,
    links,
    method_cards,
    settings_form,
    shell,
    teach,
)

PRESET_TEXT = {
    "quick": "Quick: a first look, small network, few iterations.",
    "teaching": "Teaching: the same idea, run long enough to be worth showing.",
    "hour": "Hour: a wider network and what two cores carry in about an hour for ten images per class.",
    "paper": "Paper: as published, or as near as the images allow. Meant for a graphics card.",
}
# The start button stays in sight while one reads through the methods.
STICKY = (
    "<style>[data-testid=stColumn]:has(.st-key-distil-side)"
    "{position:sticky;top:2.5rem;align-self:flex-start}</style>"
)

SpecOf = Callable[[settings_form.Settings], DistillSpec]


def main() -> None:
    """The whole page."""
    st.title("How are the images made?", anchor=False)
    known = data_views.choices(shell.store())
    left, middle, right = st.columns([5, 6, 8], gap="small")
    with left:
        data = known[data_chooser(known)]
    with middle:
        preset = preset_chooser(data)
    with right:
        ipc, seed = size()
    controls, side = st.columns([5, 4], gap="medium")
    with controls, shell.main():
        chosen = methods()[method_chooser(data, ipc, preset)]

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

    beside = side.container(key="distil.side")
    with beside:
        st.html(STICKY)
        settings = variants(chosen, spec_of, data)
    distil_views.formula(chosen)
    try:
        base = spec_of(settings)
        fits = choices.fitting(base, data.shape, data.classes)
        settings = settings + all_settings(base, fits)
        spec, problem = spec_of(settings), ""
        fits(spec)
    except DDError as error:  # a value that is not allowed, said where the button would be
        spec, problem = None, str(error)
    with beside:
        if problem:
            st.error(plain(problem), icon=":material/error:")
            st.button("Start", key="distil.go", icon=":material/play_arrow:", disabled=True)
        else:
            distil_views.start(spec, data)
        distil_views.about(chosen)
    st.caption(f"{PRESET_TEXT[preset]} The same from a terminal:")
    line = settings_form.command(chosen.name, data.spec, ipc, seed, preset, settings)
    st.code(line, language="bash", wrap_lines=True)


# --- controls -------------------------------------------------------------------------------------


def data_chooser(known: dict[str, data_views.Choice]) -> str:
    """The dataset, among those that are here."""
    return links.choice("Dataset", {i: c.title for i, c in known.items()}, "data", remember=True)


def preset_chooser(data: data_views.Choice) -> str:
    """The preset, among those that the method has for these images."""
    named = st.query_params.get("method")
    method = named if named in methods() else distil_views.first_choice()
    known = presets_of(method, data.spec.name, data.shape)
    titles = {p: p.capitalize() for p in known}
    preset = links.choice(
        "Preset",
        titles,
        "preset",
        widget=st.segmented_control,
        explained=st.query_params.get("preset", "") in PRESET_TEXT,
        help="\n".join(f"- {text}" for name, text in PRESET_TEXT.items() if name in known),
    )
    wanted = st.query_params.get("preset", "")
    if wanted in PRESET_TEXT and wanted not in known:
        st.caption(
            f"{methods()[method].title} has no preset {wanted.capitalize()} for these images."
        )
    return preset


def size() -> tuple[int, int]:
    """Images per class and seed; what is no such number is said below them."""
    row, below = st.container(horizontal=True, gap="small"), st.container()
    known = declared(DistillSpec)
    with row:
        ipc, seed = (
            links.field(label, name, known[name], value=value, width=140, below=below)
            for label, name, value in (("Images per class", "ipc", 1), ("Seed", "seed", 0))
        )
    return ipc, seed


def method_chooser(data: data_views.Choice, ipc: int, preset: str) -> str:
    """The method, grouped by idea: what it made, title, and what this preset of it takes."""
    return method_cards.choose(lambda name: distil_views.cost(name, data, ipc, preset), data.title)


def variants(chosen: Method, spec_of: SpecOf, data: data_views.Choice) -> settings_form.Settings:
    """The variants a method has, as settings; those that do not fit the data are not offered."""
    settings: settings_form.Settings = []

    def use(name: str, value: str) -> None:
        spec = spec_of([*settings, (name, value)])
        choices.fitting(spec, data.shape, data.classes)(spec)

    for name, values in chosen.variants.items():
        found = choices.tried(values, functools.partial(use, name))
        value = links.choice(
            settings_form.label_of(name),
            {v: v for v in found.offered or values},
            name,
            default=getattr(chosen.params(), name),
            group="setup",
            widget=st.radio,
            horizontal=True,
            help=declared(chosen.params)[name].sentences(),
        )
        settings_form.not_offered(found)
        settings.append((name, value))
    return settings


def all_settings(base: DistillSpec, fits: choices.Fits) -> settings_form.Settings:
    """Every setting behind an expander; a change of method or preset starts from its own values."""
    origin = (base.method, base.data.name, st.query_params.get("preset", ""))
    if st.session_state.setdefault("distil.origin", origin) != origin:
        st.session_state["distil.origin"] = origin
        if settings_form.from_link():
            st.caption("All settings went back to what this method and preset say.")
        settings_form.to_link([])
    changed = len(settings_form.from_link())
    label = f"All settings ({changed} changed)" if changed else "All settings"
    key = "distil.settings"
    with (
        teach.part("settings", key),
        st.expander(label, icon=":material/tune:", key=key, expanded=changed > 0),
    ):
        settings = settings_form.draw(base, fits, f"distil.{'.'.join(map(str, origin))}")
    settings_form.to_link(settings)
    return settings


with shell.page("Distil", section="Make", icon=":material/science:", about="Make synthetic images"):
    main()
