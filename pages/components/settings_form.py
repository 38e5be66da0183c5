"""A form made from a spec's own fields: what differs from the preset comes back as (path, text) pairs.

The pairs are what `--set` takes on the command line and what the query parameter `set` holds, so a form
can be sent as a link and repeated in a terminal. Values are judged by the spec, not by the widgets; of
named values only those are offered that compose with the rest.
"""

from __future__ import annotations

import math
import re
import shlex
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import streamlit as st

from ddcore.base.errors import SpecError
from ddcore.base.foreign_text import plain
from ddcore.base.specs import Spec, field_types, parse_text
from ddcore.data.spec import DataSpec
from ddcore.distil.contract import DistillSpec, method, parametrization
from ddcore.distil.settings import with_text_settings
from ddcore.training.protocols import PURPOSE
from pages.components import choices

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
HELP = {
    "init": "Real training images, Gaussian noise, or means of random parts of each class.",
    "protocol": "; ".join(f"{name}: {text}" for name, text in PURPOSE.items()),
    "augment": "Names of transformations joined by _, such as color_crop_cutout_flip_scale_rotate; "
    "empty for none.",
    "validations": "How often the set is judged on validation data; the best one is kept.",
    "val_nets": "How many fresh networks judge it each time.",
    "data.preprocess": "normalise: mean 0 and deviation 1 per channel. zca: whitening of all pixels.",
}
Settings = list[tuple[str, str]]


@dataclass(frozen=True)
class Field:
    """One setting: dotted path, present value, type, and the class it comes from."""

    path: str
    value: Any
    hint: Any
    owner: type

    @property
    def kind(self) -> type:
        """Its type, without "or nothing"; lists are tuples."""
        inner = [a for a in typing.get_args(self.hint) if a is not type(None)]
        return typing.get_origin(self.hint) if self.is_list else (inner or [self.hint])[0]

    @property
    def is_list(self) -> bool:
        """Whether it holds several values."""
        return typing.get_origin(self.hint) is tuple


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
        named = choices.values(self.spec, path) if field.kind is str else ()
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
    value = getattr(owner, name)
    if isinstance(value, Spec):  # chosen by its name
        return Field(path, value.name, str, type(owner))
    return Field(path, value, field_types(type(owner))[name], type(owner))


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
    label, note = label_of(field.path), help_of(field)
    if key not in st.session_state:
        st.session_state[key] = _initial(field, given)
    if named:
        options = named.offered if field.value in named.offered else (field.value, *named.offered)
        if st.session_state[key] not in options:  # it went with what was chosen before
            st.session_state[key] = field.value
        return st.selectbox(label, options, format_func=words, key=key, help=note)
    if field.kind is bool:
        return st.toggle(label, key=key, help=note)
    if field.kind is int:
        return st.number_input(label, step=1, key=key, help=note)
    if field.kind is float:
        step = 10.0 ** math.floor(math.log10(abs(field.value))) if field.value else 0.1
        return st.number_input(label, step=step, format="%g", key=key, help=note)
    text = st.text_input(label, key=key, help=note)
    return field.value if text == text_of(field.value) else text


def _initial(field: Field, given: str | None) -> Any:
    """What the widget holds first: numbers and switches as they are, everything else as text."""
    value = field.value if given is None else parse_text(field.path, given, field.hint)
    return value if field.kind in (bool, int, float) else text_of(value)


def representable(field: Field, given: str, offered: tuple[str, ...]) -> bool:
    """Whether the widget of a field can show a text from a link."""
    if offered:
        return given in offered
    try:
        return parse_text(field.path, given, field.hint) is not None
    except SpecError:
        return False


def label_of(path: str) -> str:
    """Words for a field."""
    name = path.rpartition(".")[2].replace("_", " ")
    return LABELS.get(path, name[:1].upper() + name[1:])


def help_of(field: Field) -> str | None:
    """Our words, else those of the class's docstring."""
    return HELP.get(field.path) or said_of(field.owner, field.path.rpartition(".")[2]) or None


def said_of(owner: type, name: str) -> str:
    """The sentences of a class's docstring that mention a field."""
    doc = re.sub(r"\s+", " ", owner.__doc__ or "")
    return " ".join(s for s in re.split(r"(?<=[.])\s", doc) if f"`{name}`" in s)


def text_of(value: Any) -> str:
    """A value as one types it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(text_of, value))
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
