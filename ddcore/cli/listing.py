"""`list`: what there is."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ddcore.base.errors import Damaged
from ddcore.cli import console
from ddcore.tasks import jobs
from ddcore.tasks.store import Store


def add(commands: console.Commands) -> None:
    """The command and its arguments."""
    sub = commands.add(
        "list", list_things, "what there is: methods, datasets, runs, protocols, nets"
    )
    sub.add_argument("what", choices=sorted(_LISTS))


def list_things(options: argparse.Namespace) -> None:
    """`list methods|datasets|runs|protocols|nets`."""
    rows = _LISTS[options.what](Store())
    console.output(options, rows, lambda: [print(console.line(r)) for r in rows])


def _list_methods(store: Store) -> list[dict[str, Any]]:
    from ddcore.distil.contract import methods
    from ddcore.graphs.contract import graph_methods

    found = [(m.name, m.title, m.paper) for m in methods().values()]
    found += [(m.name, m.title, m.paper) for m in graph_methods().values()]
    return [dict(zip(("name", "title", "paper"), each)) for each in found]


def _list_datasets(store: Store) -> list[dict[str, Any]]:
    from ddcore.base.paths import data_root
    from ddcore.data import datasets
    from ddcore.graphs.known import KNOWN

    root = data_root()
    found = [
        {
            "name": s.name,
            "title": s.title,
            "classes": len(s.classes),
            "here": s.available(root) or "no",
        }
        for s in datasets().values()
    ]
    for known in KNOWN.values():
        here = "graph" if known.file(root).is_file() else "no"
        found.append({"name": known.name, "title": known.title, "about": known.about, "here": here})
    return found


def _list_runs(store: Store) -> list[dict[str, Any]]:
    from ddcore.sets.distilled import KINDS
    from ddcore.sets.imported import names_of

    rows = []
    for task in (t for kind in (*KINDS, "graph_run") for t in store.tasks(kind)):
        status = jobs.state(task)
        try:
            spec = task.document()["spec"]
        except Damaged:
            spec = {"data": {}}
        rows.append(
            {
                "key": task.key,
                "state": status["state"],
                "method": spec.get("method") or ("unknown" if task.kind == "import" else None),
                "dataset": spec["data"].get("name"),
                "ipc": spec.get("ipc"),
                **({"ratio": spec.get("ratio")} if task.kind == "graph_run" else {}),
                "seed": spec.get("seed"),
                "shipped": task.shipped,
                "imported": task.kind == "import",
                "files": ", ".join(names_of(task)) if task.kind == "import" else "",
            }
        )
    return rows


def _list_protocols(store: Store) -> list[dict[str, Any]]:
    from ddcore.graphs.protocols import PURPOSE_OF_GRAPHS
    from ddcore.training.protocols import PURPOSE

    named = [*PURPOSE.items(), *((n, f"graphs: {p}") for n, p in PURPOSE_OF_GRAPHS.items())]
    return [{"name": n, "purpose": p} for n, p in named]


def _list_nets(store: Store) -> list[dict[str, Any]]:
    from ddcore.nets import ARCHITECTURES

    return [{"name": n, "title": a.title, **a.knobs} for n, a in ARCHITECTURES.items()]


_LISTS: dict[str, Callable[[Store], list[dict[str, Any]]]] = {
    "methods": _list_methods,
    "datasets": _list_datasets,
    "runs": _list_runs,
    "protocols": _list_protocols,
    "nets": _list_nets,
}
