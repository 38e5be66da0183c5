"""`continual`, `search` and `regimes` on the command line: what is asked for is computed and told."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from analysis.uses import shipped
from analysis.uses.continual import figures as continual_figures
from analysis.uses.continual import maths as continual_maths
from analysis.uses.continual import result as continual_result
from analysis.uses.continual.spec import CHOSEN, DISTILLED, STRATEGIES, ContinualTask
from analysis.uses.continual.spec import estimate as continual_estimate
from analysis.uses.regimes import figures as regimes_figures
from analysis.uses.regimes import maths as regimes_maths
from analysis.uses.regimes import result as regimes_result
from analysis.uses.regimes.spec import RegimesTask
from analysis.uses.regimes.spec import estimate as regimes_estimate
from analysis.uses.search import figures as search_figures
from analysis.uses.search import maths as search_maths
from analysis.uses.search import result as search_result
from analysis.uses.search.spec import CHEAP, SPACE_TITLES, SPACES, SearchTask, require_sets
from analysis.uses.search.spec import estimate as search_estimate
from ddcore import cli
from ddcore.base.errors import NotReady, SpecError
from ddcore.base.fields import declared
from ddcore.base.specs import TaskSpec, with_setting
from ddcore.data import dataset_task, resolve
from ddcore.data.spec import DataSpec, form
from ddcore.distil.contract import methods
from ddcore.distil.settings import make_spec
from ddcore.nets.words import network
from ddcore.sets.distilled import KINDS
from ddcore.tasks.store import Store
from ddcore.training.protocols import protocol


def add_continual(sub: argparse.ArgumentParser) -> None:
    """Arguments of `continual`."""
    said = declared(ContinualTask)
    sub.add_argument("--dataset", default="digits", help="a name, or the path of a folder of yours")
    sub.add_argument("--steps", type=int, default=5, help=said["steps"].sentences())
    sub.add_argument(
        "--orders", type=int, default=5, help="how many orders of the classes: seeds 0, 1, ..."
    )
    names = ", ".join((*CHOSEN, *methods()))
    sub.add_argument(
        "--source",
        nargs="+",
        default=["random", "kmeans", "dm"],
        metavar="NAME",
        help=f"any of {names}",
    )
    sub.add_argument("--ipc", type=int, nargs="+", default=[5], help=said["ipc"].sentences())
    told = "; ".join(f"{name}: {text}" for name, text in STRATEGIES.items())
    sub.add_argument("--strategy", default="scratch", help=told)
    sub.add_argument("--net", default="", help="the networks, such as mlp-100 or convnet-16")
    sub.add_argument("--nets", type=int, default=3, help=said["nets"].sentences())
    sub.add_argument("--protocol", default="", help=said["protocol"].help)
    sub.add_argument("--seed", type=int, default=0, help=said["seed"].sentences())
    sub.add_argument("--preset", default="quick", help="of the methods: quick, teaching, paper")
    sub.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="of the methods"
    )
    sub.add_argument("--repeated", action="store_true", help=said["repeated"].help)
    sub.add_argument("--alone", action="store_true", help="without floor, ceiling and whole sets")
    sub.add_argument("--dry-run", action="store_true", help="print the estimates and stop")
    sub.add_argument("--table", action="store_true", help="only print what is shipped, as Markdown")


def continual(options: argparse.Namespace) -> int:
    """`continual`: every source at every size, floor and ceiling, and each distilled set as a whole."""
    store = Store()
    if options.table:
        return _tell(options, shipped.continual_markdown(store))
    data = resolve(options.dataset, preprocess="scale")
    specs = continual_specs(options, data, store)
    if options.dry_run:
        return _plan(options, store, [(spec, continual_estimate) for spec in specs])
    found = [continual_result.read(cli.compute(store, spec)) for spec in specs]
    parts = [each for each in found if each.spec.steps == options.steps]
    wholes = {each.spec: each for each in found if each.spec.steps == 1}
    pairs = [
        (each, wholes[whole])
        for each in parts
        if options.steps > 1 and (whole := each.spec.replace(steps=1)) in wholes
    ]
    answer = {
        "answer": continual_figures.sentence(parts).replace("**", ""),
        "rows": [continual_maths.facts(each) for each in found],
        "unseen": [
            {"key": each.key, "whole": whole.key, **vars(continual_maths.unseen_cost(each, whole))}
            for each, whole in pairs
        ],
    }

    def show() -> None:
        cli.rows(continual_figures.table(parts))
        print(answer["answer"])
        for pair in pairs:
            print(continual_figures.unseen(*pair))

    cli.output(options, answer, show)
    return 0


def continual_specs(
    options: argparse.Namespace, data: DataSpec, store: Store
) -> list[ContinualTask]:
    """The tasks that the arguments name, in the order in which they are computed."""
    shape, classes = _form(store, data, options.dry_run)
    net = network("net", options.net, shape, classes) if options.net else None
    if options.net.startswith("mlp") and net:
        net = net.replace(depth=1)
    common: dict[str, Any] = {
        "data": data,
        "steps": options.steps,
        "orders": tuple(range(options.orders)),
        "nets": options.nets,
        "seed": options.seed,
        **({"net": net} if net else {}),
    }
    own = {"protocol": protocol(options.protocol)} if options.protocol else {}
    known, specs = (*CHOSEN, *methods()), []
    for source in options.source:
        if source not in known:
            raise SpecError("source", source, "one of " + ", ".join(known))
        for ipc in options.ipc:
            fields = {**common, **own, "strategy": options.strategy, "ipc": ipc, "source": source}
            fields["repeated"] = options.repeated
            if source in methods():
                settings = [cli.setting(text) for text in options.set]
                made = make_spec(
                    source, data, shape, ipc=ipc, preset=options.preset, settings=settings
                )
                fields |= {"source": DISTILLED, "distill": made}
                fields |= {} if net else {"net": made.net}
            specs.append(ContinualTask(**fields))
    if options.alone or not specs:
        return specs
    nets = dict.fromkeys(spec.net for spec in specs)
    ends = [
        ContinualTask(**{**common, "net": net}, strategy=strategy)
        for net in nets
        for strategy in ("finetune", "joint")
    ]
    wholes = [s.replace(steps=1) for s in specs if s.distill and options.steps > 1]
    return [*specs, *ends, *wholes]


def add_search(sub: argparse.ArgumentParser) -> None:
    """Arguments of `search`."""
    said = declared(SearchTask)
    sub.add_argument("--dataset", default="digits", help="a name, or the path of a folder of yours")
    sub.add_argument(
        "--run", action="append", default=[], help="a set that ranks; repeat for several"
    )
    told = "; ".join(f"{name}: {text}" for name, text in SPACE_TITLES.items())
    sub.add_argument("--space", default="small", help=told)
    sub.add_argument("--baseline", nargs="*", default=list(CHEAP), help=said["baselines"].help)
    sub.add_argument("--ipc", type=int, default=10, help=said["ipc"].sentences())
    sub.add_argument("--no-early", action="store_true", help="without early stopping")
    sub.add_argument("--nets", type=int, default=3, help=said["nets"].sentences())
    sub.add_argument("--full-nets", type=int, default=2, help=said["full_nets"].sentences())
    sub.add_argument("--protocol", default="quick", help=said["protocol"].help)
    sub.add_argument("--seed", type=int, default=0, help=said["seed"].sentences())
    sub.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="such as space.widths=8,16",
    )
    sub.add_argument("--dry-run", action="store_true", help="print the estimate and stop")
    sub.add_argument("--table", action="store_true", help="only print what is shipped, as Markdown")


def search(options: argparse.Namespace) -> int:
    """`search`: every proxy on every network, and full training."""
    store = Store()
    if options.table:
        return _tell(options, shipped.search_markdown(store))
    if options.space not in SPACES:
        raise SpecError("space", options.space, "one of " + ", ".join(SPACES))
    spec: Any = SearchTask(
        data=resolve(options.dataset),
        run_keys=tuple(_set_key(store, key) for key in options.run),
        baselines=tuple(options.baseline),
        ipc=options.ipc,
        early=not options.no_early,
        space=SPACES[options.space],
        protocol=protocol(options.protocol),
        nets=options.nets,
        full_nets=options.full_nets,
        seed=options.seed,
    )
    for text in options.set:
        spec = with_setting(spec, *cli.setting(text))
    require_sets(spec, store)
    if options.dry_run:
        return _plan(options, store, [(spec, search_estimate)])
    found = search_result.read(cli.compute(store, spec))
    answer = {"answer": search_maths.headline(found).replace("**", ""), **search_maths.table(found)}

    def show() -> None:
        cli.rows(search_figures.table(found))
        print(answer["answer"])
        print(search_figures.ceiling_text(found))

    cli.output(options, answer, show)
    return 0


def add_regimes(sub: argparse.ArgumentParser) -> None:
    """Arguments of `regimes`."""
    said = declared(RegimesTask)
    sub.add_argument("--dataset", default="digits", help="a name, or the path of a folder of yours")
    sub.add_argument("--method", nargs="+", default=["dm"], help="what distils the sets")
    sub.add_argument("--ipc", type=int, nargs="+", default=[1, 10, 50], help=said["sizes"].help)
    sub.add_argument("--seeds", type=int, default=5, help="how many: 0, 1, ...")
    for name in ("nets", "iterations"):
        default = RegimesTask.__dataclass_fields__[name].default
        sub.add_argument(f"--{name}", type=int, default=default, help=said[name].sentences())
    sub.add_argument("--net", default="convnet-8", help=said["network"].sentences())
    sub.add_argument("--mixing", default="mixup", help=said["mixing"].sentences())
    sub.add_argument("--preset", default="quick", help="of the methods: quick, teaching, paper")
    sub.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="of the methods"
    )
    sub.add_argument("--dry-run", action="store_true", help="print the estimate and stop")
    sub.add_argument("--table", action="store_true", help="only print what is shipped, as Markdown")


def regimes(options: argparse.Namespace) -> int:
    """`regimes`: every selection under every regime at every size, over seeds."""
    store = Store()
    if options.table:
        return _tell(options, shipped.regimes_markdown(store))
    data = resolve(options.dataset)
    shape, _ = _form(store, data, options.dry_run)
    settings = [cli.setting(text) for text in options.set]
    sets = [
        make_spec(name, data, shape, ipc=ipc, preset=options.preset, settings=settings)
        for name in options.method
        for ipc in options.ipc
    ]
    spec = RegimesTask(
        data=data,
        sets=tuple(sets),
        seeds=tuple(range(options.seeds)),
        sizes=tuple(options.ipc),
        nets=options.nets,
        iterations=options.iterations,
        network=options.net,
        mixing=options.mixing,
    )
    if options.dry_run:
        return _plan(options, store, [(spec, regimes_estimate)])
    found = regimes_result.read(cli.compute(store, spec))
    answer = {
        "key": found.key,
        "answer": regimes_figures.sentence(found).replace("**", ""),
        "rows": [regimes_maths.facts(found, row) for row in found.rows],
        "notes": regimes_figures.notes(found),
    }

    def show() -> None:
        cli.rows(regimes_figures.table(found))
        print(answer["answer"])
        for note in regimes_figures.notes(found):
            print(note)

    cli.output(options, answer, show)
    return 0


# --- what all need -----------------------------------------------------------------------------------


def _form(store: Store, data: DataSpec, planned: bool) -> tuple[Any, int]:
    """Shape and number of classes: of a registered set without reading it where this is only planned."""
    if planned:
        return form(data)
    facts = cli.compute(store, dataset_task(data)).result()
    return tuple(facts["shape"]), len(facts["class_names"])


def _set_key(store: Store, text: str) -> str:
    """The key of the set that a key or its beginning names."""
    keys = sorted({t.key for kind in KINDS for t in store.tasks(kind) if t.key.startswith(text)})
    if not text or len(keys) != 1:
        raise NotReady(f"No single set {text!r} here: see python -m ddcore list runs.")
    return keys[0]


def _plan(options: argparse.Namespace, store: Store, wanted: Sequence[tuple[Any, Any]]) -> int:
    rows = []
    for spec, guess in wanted:
        done = store.task(spec).is_done()
        rows.append(_planned(spec, "done" if done else guess(spec, store).sentence()))
    cli.output(options, rows, lambda: [print(cli.line(row)) for row in rows])
    return 0


def _tell(options: argparse.Namespace, table: str) -> int:
    cli.output(options, {"table": table}, lambda: print(table))
    return 0


def _planned(spec: TaskSpec, text: str) -> dict[str, str]:
    return {"key": spec.key, "title": spec.title(), "estimate": text}
