"""`fields`, and the end of `distill METHOD --help`: what can be set, as the specs declare it."""

from __future__ import annotations

import argparse
import dataclasses
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

from ddcore.base.fields import Declared, declared
from ddcore.base.specs import Spec, text_of
from ddcore.cli import console

FieldRows = list[dict[str, str]]
# Parts, and what has an option of its own.
GIVEN = ("method", "data", "net", "knobs", "params", "seed", "ipc")


class Help(argparse.Action):
    """`--help` that ends with what `more` says, given the arguments before it."""

    def __init__(self, more: Callable[[argparse.Namespace], str], **details: Any) -> None:
        super().__init__(nargs=0, default=argparse.SUPPRESS, **details)
        self.more = more

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *rest: object
    ) -> None:
        """Print and stop."""
        parser.print_help()
        print("\n" + self.more(namespace))
        parser.exit()


def add(commands: console.Commands) -> None:
    """The command and its arguments."""
    sub = commands.add(
        "fields", show, "what --set can change in every run, and in those of a method"
    )
    sub.add_argument("method", nargs="?", default="")
    sub.add_argument("--table", action="store_true", help="of all methods, as Markdown")


def show(options: argparse.Namespace) -> None:
    """`fields [METHOD]`."""
    from ddcore.distil.contract import method, methods
    from ddcore.graphs.contract import graph_methods

    if options.method in graph_methods():
        groups = of_graphs([options.method])
    else:
        known = [method(options.method).name] if options.method else []
        groups = of_methods(methods() if options.table else known) | of_runs()
        groups |= of_graphs(graph_methods()) if options.table else {}
    write = markdown if options.table else text
    console.output(options, groups, lambda: print(write(groups)))


def of_methods(names: Iterable[str]) -> dict[str, FieldRows]:
    """Parameters of methods, by a title."""
    from ddcore.distil.contract import method

    return {f"Of `{name}`": rows(method(name).params) for name in names}


def of_runs() -> dict[str, FieldRows]:
    """What every run has, and what comes with the way its images are stored."""
    from ddcore.data.spec import DataSpec, Files
    from ddcore.distil.contract import DistillSpec, parametrizations
    from ddcore.nets.architectures import NetSpec

    stored = {f"Of images stored as `{p.name}`": rows(p.knobs) for p in parametrizations().values()}
    return {
        "Of every run": rows(DistillSpec, but=GIVEN),
        "Of its network": rows(NetSpec, "net."),
        "Of its data": rows(DataSpec, "data.", but=declared(Files)),
        **{title: found for title, found in stored.items() if found},
    }


def of_graphs(names: Iterable[str]) -> dict[str, FieldRows]:
    """Parameters of methods for graphs, and what every run of one has."""
    from ddcore.graphs.contract import GraphRun, graph_method
    from ddcore.graphs.protocols import GraphProtocol
    from ddcore.graphs.spec import GraphData

    found = {f"Of `{name}`": rows(graph_method(name).params) for name in names}
    return {
        **found,
        "Of every run on a graph": rows(GraphRun, but=(*GIVEN[:2], "params", "seed", "ratio")),
        "Of its graph": rows(GraphData, "data.", but=("name", "path", "fingerprint")),
        "Of its protocol": rows(GraphProtocol, "protocol.", but=("name",)),
    }


def of_run(options: argparse.Namespace) -> str:
    """What `distill METHOD --help` ends with."""
    from ddcore.distil.contract import methods
    from ddcore.graphs.contract import graph_methods

    said_first = "FIELD=VALUE, with the defaults that presets change:\n"
    if (named := getattr(options, "method", None)) in graph_methods():
        return said_first + text(of_graphs([str(named)]))
    names = [name for name in [getattr(options, "method", None)] if name in methods()]
    said = "" if names else "Name a method before --help for its parameters.\n\n"
    return said + said_first + text(of_methods(names) | of_runs())


def rows(cls: type[Spec], prefix: str = "", but: Iterable[str] = ()) -> FieldRows:
    """Name, default and help of every field of a spec."""
    defaults = {f.name: _default(f) for f in dataclasses.fields(cls)}
    return [
        {"field": prefix + name, "default": defaults[name], "help": _help(said)}
        for name, said in declared(cls).items()
        if name not in tuple(but)
    ]


def _help(said: Declared) -> str:
    """With the names, where their meanings do not tell them."""
    told = said.sentences()
    names = [name for name in said.choices if name and f"{name}: " not in told]
    return f"{told} One of {', '.join(names)}." if names else told


def _default(field: dataclasses.Field) -> str:
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return getattr(made, "name", "")
    return "" if field.default in (dataclasses.MISSING, None) else text_of(field.default)


def text(groups: dict[str, FieldRows]) -> str:
    """For a terminal."""
    found = []
    for title, fields in groups.items():
        found.append(f"\n{title}".replace("`", ""))
        for row in fields:
            found.append(f"  {row['field']}" + (f" ({row['default']})" if row["default"] else ""))
            found += textwrap.wrap(
                row["help"], 96, initial_indent="      ", subsequent_indent="      "
            )
    return "\n".join(found)


def markdown(groups: dict[str, FieldRows]) -> str:
    """For docs/fields.md."""
    found = [INTRODUCTION]
    for title, fields in groups.items():
        found += [f"\n## {title}\n", "| field | default | |", "|---|---|---|"]
        found += ["| `{field}` | {default} | {help} |".format(**row) for row in fields]
    return "\n".join(found)


INTRODUCTION = """# Fields

What `--set FIELD=VALUE` takes, and the settings of the Distil page. Presets change the defaults.
This page is what `ddx fields --table` prints; `ddx distil METHOD --help` tells those of one method,
`ddx analyse NAME --help` those of an analysis."""
