"""A form made from a spec's own fields: what differs from the preset comes back as (path, text) pairs.

The pairs are what `--set` takes on the command line and what the query parameter `set` holds, so a form
can be sent as a link and repeated in a terminal. Values are judged by the spec, not by the widgets; of
named values only those are offered that compose with the rest.
"""

from __future__ import annotations

import math
import shlex
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import streamlit as st

from ddcore.base.errors import SpecError
from ddcore.base.fields import Declared, declared
from ddcore.base.foreign_text import plain
from ddcore.base.specs import Spec, field_types, parse_text, text_of
from ddcore.data.spec import DataSpec
from ddcore.distil.contract import DistillSpec, method, parametrization
from ddcore.distil.settings import with_text_settings
from pages.components import choices, teach

PARAMETER = "set"
MAX_FROM_LINK = 60
NET_KNOBS = ("width", "depth", "norm", "activation", "pooling", "init")
LABELS = {
    "ipc": "Images per class",
    "parametrization": "Images are stored as",
    "label_lr": "Step size of the labels",
    "init": "Images start as",
    "protocol": "Judged by protocol",
    "protocol.nets": "Networks of the evaluation",
    "validations": "Checks on validation data",
    "val_nets": "Networks per check",
    "net.arch": "Architecture",
    "data.preprocess": "Preprocessing",
    "net.init": "Weights start as",
    "augment": "Augmentation",
    "lr": "Step size of the images",
    "real_batch": "Real images per step",
    "nets": "Networks per step",
}
Settings = list[tuple[str, str]]


@dataclass(frozen=True)
class Field:
    """One setting: dotted path, present value, type, and what the field says of itself."""

    path: str
    value: Any
    hint: Any
    said: Declared

    @property
    def kind(self) -> type:
        """Its type, without "or nothing"; lists are tuples."""
        inner = [a for a in typing.get_args(self.hint) if a is not type(None)]
        return typing.get_origin(self.hint) if self.is_list else (inner or [self.hint])[0]

    @property
    def is_list(self) -> bool:
        """Whether it holds several values."""
        return typing.get_origin(self.hint) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        """The values it can have at all if it is one of some names; () else."""
        return () if self.is_list else self.said.choices


def draw(base: DistillSpec, fits: choices.Fits, key: str) -> Settings:
    """Draw all settings; returns those that differ from `base`, those without a widget last."""
    form = Form(base, fits, key)
    top = st.container()
    left, right = st.columns(2, gap="large")
    with left:
        found = form.ask("parametrization", words=lambda name: parametrization(name).title)
        stored = parametrization(form.spec.parametrization)
        st.caption(f"{stored.idea} ({stored.source})")
        not_offered(found, lambda name: parametrization(name).title)
        form.ask_all(f.name for f in fields(form.spec.knobs))
    with right:
        not_offered(form.ask("labels"))
        if form.spec.label_lr:
            form.ask("label_lr")
    groups = st.columns(3, gap="large")
    with groups[0]:
        st.markdown(f"**{method(base.method).title}**")
        variants = method(base.method).variants
        for name in (f.name for f in fields(form.spec.params) if f.name not in variants):
            if name not in form.spec.params.idle:
                form.ask(name)
    with groups[1]:
        st.markdown("**Network**")
        form.ask("net.arch")
        form.ask_all(f"net.{n}" for n in NET_KNOBS if getattr(form.spec.net, n) is not None)
    with groups[2]:
        st.markdown("**Start and judging**")
        form.ask_all(("init", "validations", "val_nets", "protocol", "data.preprocess"))
    # What a widget wrote and none shows now was chosen before something else ruled it out.
    form.rest = [s for s in form.rest if s not in st.session_state.get(f"{key}.drawn", [])]
    with top:
        form.others()
    st.session_state[f"{key}.drawn"] = form.changed
    return form.changed + form.rest


class Form:
    """The settings one after the other: `spec` is the run as far as it has been asked about.

    `changed` are the settings whose widget differs from the preset, `rest` those of the link that no
    widget shows: fields without one, and values that are not allowed.
    """

    def __init__(self, base: DistillSpec, fits: choices.Fits, key: str) -> None:
        self.base, self.fits, self.key = base, fits, key
        self.spec = base
        self.changed: Settings = []
        self.rest = from_link()

    def ask_all(self, paths: Iterable[str]) -> None:
        """A widget for each setting."""
        for path in paths:
            self.ask(path)

    def ask(self, path: str, words: Callable[[str], str] = str) -> choices.Choices:
        """A widget for a setting; `words` gives people's names of named values. Returns what it offers."""
        field = find(self.spec, path)
        named = field.choices
        found = choices.among(self.spec, path, named, self.fits)
        given = dict(self.rest).get(path)
        shown = given is not None and representable(field, given, found.offered)
        value = widget(
            field,
            f"{self.key}.{path}.{text_of(field.value)}",
            given if shown else None,
            found if named else None,
            words,
        )
        touched = value is not None and value != field.value
        if shown or touched:
            self.rest = [(p, t) for p, t in self.rest if p != path]
        if touched:
            self.changed.append((path, text_of(value)))
            self._apply()
        return found

    def _apply(self) -> None:
        """Take the changes over, unless the spec refuses them: the page says so in the end."""
        try:
            self.spec = with_text_settings(self.base, self.changed)
        except SpecError:
            return

    def others(self) -> None:
        """What only the link sets, each with a button that removes it."""
        if not self.rest:
            return
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown("Also set by the link:", width="content")
            for path, text in self.rest:
                st.button(
                    plain(f"{path} = {text}"[:80]),
                    key=f"{self.key}.remove.{path}",
                    icon=":material/close:",
                    on_click=remove,
                    args=[path],
                    help="Remove this setting",
                )


def not_offered(found: choices.Choices, words: Callable[[str], str] = str) -> None:
    """What cannot be chosen, and why."""
    for value, reason in found.reasons.items():
        st.caption(f"Not **{words(value)}**: {plain(reason)}.")


def find(spec: DistillSpec, path: str) -> Field:
    """A setting of a spec; parameters of the method and of the parametrization need no prefix."""
    owner: Spec = spec
    for part in (spec.params, spec.knobs):
        if path in {f.name for f in fields(part)}:
            owner = part
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    value, said = getattr(owner, name), declared(type(owner))[name]
    if isinstance(value, Spec):  # chosen by its name
        return Field(path, value.name, str, said)
    return Field(path, value, field_types(type(owner))[name], said)


def from_link() -> Settings:
    """The settings a link carries; what cannot be split is left out (values are judged later)."""
    parts = st.query_params.get(PARAMETER, "").split(";")[:MAX_FROM_LINK]
    return list(dict(p.split("=", 1) for p in parts if "=" in p).items())


def remove(path: str) -> None:
    """Take a setting out of the link."""
    to_link([(p, text) for p, text in from_link() if p != path])


def to_link(settings: Settings) -> None:
    """Keep the settings in the address bar."""
    text = ";".join(f"{path}={value}" for path, value in settings)
    if text != st.query_params.get(PARAMETER, ""):
        if text:
            st.query_params[PARAMETER] = text
        else:
            del st.query_params[PARAMETER]


def command(
    method_name: str, data: DataSpec, ipc: int, seed: int, preset: str, settings: Settings
) -> str:
    """The command line that makes the same run."""
    words = ["python", "-m", "ddcore", "distill", method_name, "--dataset", data.path or data.name]
    words += ["--resolution", str(data.resolution)] if data.resolution else []
    words += ["--grey"] if data.grey else []
    words += ["--ipc", str(ipc), "--seed", str(seed), "--preset", preset]
    for path, value in settings:
        words += ["--set", f"{path}={value}"]
    return shlex.join(words)


# --- one widget per field -------------------------------------------------------------------------


def widget(
    field: Field,
    key: str,
    given: str | None,
    named: choices.Choices | None,
    words: Callable[[str], str],
) -> Any:
    """The widget that fits the field's type; returns its value (None where it is empty).

    It starts as `given` says, else with the field's own value. `named` are the values to choose from.
    """
    label, note = label_of(field.path), field.said.sentences() or None
    if key not in st.session_state:
        st.session_state[key] = _initial(field, given)
    if named:
        options = named.offered if field.value in named.offered else (field.value, *named.offered)
        if st.session_state[key] not in options:  # it went with what was chosen before
            st.session_state[key] = field.value
        return st.selectbox(
            label, options, format_func=words, key=key, help=note, disabled=teach.off("settings")
        )
    if field.kind is bool:
        return st.toggle(label, key=key, help=note, disabled=teach.off("settings"))
    if field.kind in (int, float):
        return _number(field, label, key, note)
    text = st.text_input(label, key=key, help=note, disabled=teach.off("settings"))
    return field.value if text == text_of(field.value) else text


def _number(field: Field, label: str, key: str, note: str | None) -> Any:
    low, high = field.said.low, field.said.high
    bounds = [bound if bound is None else field.kind(bound) for bound in (low, high)]
    if field.kind is int:
        return st.number_input(
            label, *bounds, step=1, key=key, help=note, disabled=teach.off("settings")
        )
    step = 10.0 ** math.floor(math.log10(abs(field.value))) if field.value else 0.1
    return st.number_input(
        label,
        *bounds,
        step=step,
        format="%g",
        key=key,
        help=note,
        disabled=teach.off("settings"),
    )


def _initial(field: Field, given: str | None) -> Any:
    """What the widget holds first: numbers and switches as they are, everything else as text."""
    value = field.value if given is None else parse_text(field.path, given, field.hint)
    return value if field.kind in (bool, int, float) else text_of(value)


def representable(field: Field, given: str, offered: tuple[str, ...]) -> bool:
    """Whether the widget of a field can show a text from a link."""
    if offered:
        return given in offered
    try:
        value = parse_text(field.path, given, field.hint)
        if field.kind in (int, float):
            field.said.check(field.path, value)
        return value is not None
    except SpecError:
        return False


def label_of(path: str) -> str:
    """Words for a field."""
    name = path.rpartition(".")[2].replace("_", " ")
    return LABELS.get(path, name[:1].upper() + name[1:])
