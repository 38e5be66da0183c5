"""A form made from a spec's own fields: what differs from the preset comes back as (path, text) pairs.

The pairs are what `--set` takes on the command line and what the query parameter `set` holds, so a form
can be sent as a link and repeated in a terminal. Values are judged by the spec, not by the widgets.
"""

from __future__ import annotations

import math
import re
import shlex
import typing
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import streamlit as st

from ddcore.data.spec import DataSpec
from ddcore.methods import method
from ddcore.methods.spec import INITS, DistillSpec, with_text_setting
from ddcore.nets.architectures import ACTIVATIONS, ARCHITECTURES, NORMS, POOLINGS
from ddcore.nets.architectures import INITS as NET_INITS
from ddcore.protocols import PROTOCOLS, PURPOSE

PARAMETER = "set"
CHOICES: dict[str, tuple[str, ...]] = {
    "init": INITS,
    "protocol": tuple(PROTOCOLS),
    "net.arch": tuple(ARCHITECTURES),
    "net.norm": NORMS,
    "net.activation": ACTIVATIONS,
    "net.pooling": POOLINGS,
    "net.init": NET_INITS,
    "data.preprocess": ("normalise", "zca"),
}
LABELS = {
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
    """One widget: dotted path, present value, type, and the class it comes from."""

    path: str
    value: Any
    kind: type
    owner: type


def draw(base: DistillSpec, key: str) -> Settings:
    """Draw all settings in three groups and return those that differ from `base`."""
    given = dict(from_link())
    changed: Settings = []
    groups = st.columns(3, gap="large")
    with groups[0]:
        st.markdown(f"**{method(base.method).title}**")
        own = [f for f in _fields(base.params, "") if f.path not in method(base.method).variants]
        changed += _widgets(own, key, given)
    with groups[1]:
        st.markdown("**Network**")
        arch = _widgets([_field(base.net, "net", "arch")], key, given)
        net = with_text_setting(base, *arch[0]).net if arch else base.net
        knobs = [n for n in ("width", "depth", "norm", "activation", "pooling") if getattr(net, n)]
        changed += arch + _widgets([_field(net, "net", n) for n in (*knobs, "init")], key, given)
    with groups[2]:
        st.markdown("**Start and judging**")
        name = Field("protocol", base.protocol.name, str, DistillSpec)
        judging = [_field(base, "", n) for n in ("init", "validations", "val_nets")]
        judging += [name, _field(base.data, "data", "preprocess")]
        changed += _widgets(judging, key, given)
    return changed


def from_link() -> Settings:
    """The settings a link carries; what cannot be split is left out (values are judged later)."""
    parts = st.query_params.get(PARAMETER, "").split(";")
    return [tuple(p.split("=", 1)) for p in parts if "=" in p]


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


def _fields(spec: Any, prefix: str) -> Iterable[Field]:
    for f in fields(spec):
        yield _field(spec, prefix, f.name)


def _field(spec: Any, prefix: str, name: str) -> Field:
    hint = typing.get_type_hints(type(spec))[name]
    kinds = [a for a in typing.get_args(hint) if a is not type(None)] or [hint]
    return Field(f"{prefix}.{name}".lstrip("."), getattr(spec, name), kinds[0], type(spec))


def _widgets(group: Iterable[Field], key: str, given: dict[str, str]) -> Settings:
    changed = []
    for field in group:
        value = _widget(field, f"{key}.{field.path}.{field.value}", given.get(field.path))
        if value is not None and value != field.value:
            changed.append((field.path, _text(value)))
    return changed


def _widget(field: Field, key: str, given: str | None) -> Any:
    label, note = label_of(field.path), help_of(field)
    if key not in st.session_state:
        st.session_state[key] = _initial(field, given)
    if field.path in CHOICES:
        return st.selectbox(label, CHOICES[field.path], key=key, help=note)
    if field.kind is bool:
        return st.toggle(label, key=key, help=note)
    if field.kind is int:
        return st.number_input(label, step=1, key=key, help=note)
    if field.kind is float:
        step = 10.0 ** math.floor(math.log10(abs(field.value))) if field.value else 0.1
        return st.number_input(label, step=step, format="%g", key=key, help=note)
    return st.text_input(label, key=key, help=note)


def _initial(field: Field, given: str | None) -> Any:
    if given is None:
        return field.value
    if field.path in CHOICES:
        return given if given in CHOICES[field.path] else field.value
    if field.kind is bool:
        return given.lower() in ("true", "1", "yes", "on")
    try:
        return field.kind(given)
    except ValueError:
        return field.value


def label_of(path: str) -> str:
    """Words for a field."""
    name = path.rpartition(".")[2].replace("_", " ")
    return LABELS.get(path, name[:1].upper() + name[1:])


def help_of(field: Field) -> str | None:
    """Our words, else the sentences of the class's docstring that mention the field."""
    if field.path in HELP:
        return HELP[field.path]
    name = field.path.rpartition(".")[2]
    doc = re.sub(r"\s+", " ", field.owner.__doc__ or "")
    said = [s for s in re.split(r"(?<=[.])\s", doc) if f"`{name}`" in s]
    return " ".join(said) or None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0")
