"""The settings of an analysis: preset, and a widget for every field of its spec, all in the link."""

from __future__ import annotations

import shlex
from dataclasses import fields

import streamlit as st

from analysis.contract import PRESETS, Analysis, AnalysisTask
from analysis.runs import Chosen
from analysis.settings import known_preset, make_spec
from ddcore.base.fields import declared
from ddcore.base.foreign_text import plain
from ddcore.base.specs import field_types, text_of
from pages.components import choices, links, settings_form, shell, teach
from pages.components.settings_form import Field, Settings


def ask(analysis: Analysis, chosen: Chosen) -> AnalysisTask:
    """The task as chosen, after drawing the widgets and the command line that computes the same.

    Without a preset in the link it is the largest that has been computed, so that a page opens on an answer.
    """
    known = known_preset(analysis, chosen, shell.store())
    preset = links.choice(
        "Preset",
        PRESETS,
        "preset",
        default=known,
        widget=st.segmented_control,
        label_visibility="collapsed",
    )
    base = make_spec(analysis, chosen, preset)
    given = dict(settings_form.from_link())
    changed: Settings = []
    key = f"{analysis.name}.form"
    with (
        teach.part("settings", key),
        st.popover("Settings", icon=":material/tune:", key=key),
    ):
        columns = st.columns(2, gap="large")
        for place, field in enumerate(_fields(base)):
            with columns[place % 2]:
                changed += _asked(field, given, f"{analysis.name}.{preset}")
        command = st.empty()
    if given:
        names = ", ".join(f"{path} = {text}"[:60] for path, text in given.items())
        st.warning(
            f"The link sets what cannot be set here: {plain(names)}.", icon=":material/link_off:"
        )
    settings_form.to_link(changed)
    text = command_line(analysis, chosen, preset, changed)
    command.code(text, language="bash", wrap_lines=True)
    return make_spec(analysis, chosen, preset, changed)


def command_line(analysis: Analysis, chosen: Chosen, preset: str, settings: Settings) -> str:
    """The command that computes the same."""
    words = ["python", "-m", "analysis", analysis.name]
    for run in chosen.runs:
        words += ["--run", run.key]
    words += ["--preset", preset]
    for path, text in settings:
        words += ["--set", f"{path}={text}"]
    return shlex.join(words)


def _fields(spec: AnalysisTask) -> list[Field]:
    hints, said = field_types(type(spec)), declared(type(spec))
    names = [f.name for f in fields(spec) if f.name != "run_keys"]
    names.sort(key="seed".__eq__)  # a stable sort: the seed comes last
    return [Field(n, getattr(spec, n), hints[n], said[n]) for n in names]


def _asked(field: Field, given: dict[str, str], key: str) -> Settings:
    """[(field, text)] if the widget differs from the preset, else []; takes it out of `given`."""
    offered = field.choices
    text = given.pop(field.path, None)
    shown = text is not None and settings_form.representable(field, text, offered)
    key = f"{key}.{field.path}.{text_of(field.value)}"
    named = choices.Choices(offered, {}) if offered else None
    value = settings_form.widget(field, key, text if shown else None, named, str)
    if value is not None and value != field.value:
        return [(field.path, text_of(value))]
    return [] if shown or text is None else [(field.path, text)]  # the spec says what is wrong
