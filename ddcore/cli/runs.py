"""`distill`, `evaluate`, `export`: a set is made, judged and written out."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ddcore.base.errors import Damaged, NotReady
from ddcore.base.spread import figure_text
from ddcore.cli import console, follow
from ddcore.sets.formats import FORMATS
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task


def add(commands: console.Commands) -> None:
    """The commands and their arguments."""
    sub = commands.add(
        "distill", distill, "distil a dataset and evaluate the set beside its baselines"
    )
    sub.add_argument("method")
    sub.add_argument("--dataset", default="digits", help="a name, or the path of a folder of yours")
    sub.add_argument("--resolution", type=int, help="resize images to this side")
    sub.add_argument("--grey", action="store_true", help="convert images to grey")
    sub.add_argument("--ipc", type=int, default=1, help="images per class")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument(
        "--preset", default="quick", help="quick, teaching, paper; hour where a method has it"
    )
    sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    sub.add_argument("--no-evaluate", action="store_true", help="stop after distilling")
    sub.add_argument("--dry-run", action="store_true", help="print the estimate and stop")

    sub = commands.add("evaluate", evaluate, "test accuracy of a run beside its baselines")
    sub.add_argument("run")
    sub.add_argument("--protocol")
    sub.add_argument("--nets", type=int)
    sub.add_argument(
        "--arch", nargs="+", metavar="NET", help="such as mlp, or with a width convnet-32"
    )
    sub.add_argument("--baseline", nargs="+", help="beyond random and class_mean")
    sub.add_argument("--seed", type=int, default=0)

    sub = commands.add("export", export, "write a distilled set for use elsewhere")
    sub.add_argument("run")
    sub.add_argument("--format", required=True, choices=list(FORMATS))
    sub.add_argument("--force", action="store_true", help="replace what is there by that name")
    sub.add_argument("out")


def distill(options: argparse.Namespace) -> int:
    """`distill METHOD`: run, evaluate beside the baselines, print."""
    from ddcore.data import dataset_task, resolve
    from ddcore.distil.settings import make_spec

    store = Store()
    data = resolve(options.dataset, resolution=options.resolution, grey=options.grey)
    dataset = follow.compute(store, dataset_task(data))
    facts = dataset.result()
    spec = make_spec(
        options.method,
        data,
        tuple(facts["shape"]),
        ipc=options.ipc,
        seed=options.seed,
        preset=options.preset,
        settings=[console.setting(s) for s in options.set],
    )
    if options.dry_run:
        from ddcore.distil.estimate import distillation

        guess = distillation(spec, store, tuple(facts["shape"]), len(facts["class_names"]))
        print(f"{spec.title()} ({spec.key}): {guess.sentence()}")
        return 0
    tasks = jobs.submit(store, [spec, *([] if options.no_evaluate else spec.follow_ups())])
    run = follow.watch(store, tasks[0])
    answer = _run_facts(run)
    if not options.no_evaluate:
        answer |= _evaluation_facts(follow.watch(store, tasks[1]), run)
    console.output(options, answer, lambda: _print_run(answer))
    return 0


def evaluate(options: argparse.Namespace) -> None:
    """`evaluate RUN`: under another protocol, with other networks, more baselines."""
    from ddcore.measure.spec import default_evaluation, run_of
    from ddcore.nets.words import judge
    from ddcore.training.protocols import protocol

    store = Store()
    run = _run(store, options.run)
    changes: dict[str, Any] = {"seed": options.seed}
    if options.protocol:
        changes["protocol"] = protocol(options.protocol)
        changes["nets"] = changes["protocol"].nets
    if options.nets:
        changes["nets"] = options.nets
    if options.arch:
        own, result = run_of(run).net, run.result()
        form = tuple(result["shape"]), len(result["set"]["class_names"])
        found = (judge("arch", text, own, *form) for text in options.arch)
        changes["archs"] = tuple(dict.fromkeys(found))
    if options.baseline:
        chosen = dict.fromkeys(["random", "class_mean", *options.baseline])
        changes["baselines"] = tuple(chosen)
    task = follow.compute(store, default_evaluation(run.key, run_of(run), **changes))
    answer = _run_facts(run) | _evaluation_facts(task, run)
    console.output(options, answer, lambda: _print_run(answer))


def export(options: argparse.Namespace) -> None:
    """`export RUN --format F OUT`."""
    from ddcore.sets import exports
    from ddcore.sets.distilled import DistilledSet

    run = _run(Store(), options.run)
    made = DistilledSet.from_task(run)
    out = exports.export(made, options.format, Path(options.out), force=options.force)
    console.output(options, {"key": run.key, "path": str(out)}, lambda: print(out))


def _run(store: Store, key: str) -> Task:
    from ddcore.sets.distilled import KINDS

    task = store.find(key)
    if task.kind not in KINDS:
        raise NotReady(f"{key} is a {task.kind}, not a distilled set.")
    if not task.is_done():
        raise NotReady(f"Run {key} is not finished ({jobs.state(task)['state']}).")
    return task


def _run_facts(task: Task) -> dict[str, Any]:
    result, spec = task.result(), task.document()["spec"]
    return {
        "key": task.key,
        "state": "done",
        "method": spec["method"],
        "dataset": spec["data"]["name"],
        "ipc": spec["ipc"],
        "seed": spec["seed"],
        "seconds": round(result["seconds"], 3),
        "cpu_seconds": round(result["cpu_seconds"], 3),
        "validation_accuracy": result["validation"],
        "device": result["device"],
        "folder": str(task.folder),
        **result.get("findings", {}),
    }


def _evaluation_facts(task: Task, run: Task) -> dict[str, Any]:
    result = task.result()
    first = result["rows"][0]["arch"]
    by_subject = {r["subject"]: console.figure(r) for r in result["rows"] if r["arch"] == first}
    answer = {
        "evaluation": task.key,
        "protocol": result["protocol"]["name"],
        "arch": first,
        "test_accuracy": by_subject.pop("distilled"),
    }
    for name in ("before", "other_inits"):
        if name in by_subject:
            answer[name] = by_subject.pop(name)
    answer["baselines"] = by_subject
    attacks = {
        r["subject"]: r["attack"] for r in result["rows"] if r["arch"] == first and "attack" in r
    }
    if attacks:  # by the true labels an attack is no gain
        answer["attack"] = attacks
    else:
        answer["improvement_over_random"] = _improvement_facts(task, run, first)
    others = [r for r in result["rows"] if r["arch"] != first]
    if others:
        answer["architectures"] = {
            arch: {r["subject"]: console.figure(r) for r in result["rows"] if r["arch"] == arch}
            for arch in dict.fromkeys(r["arch"] for r in result["rows"])
        }
    return answer


def _improvement_facts(task: Task, run: Task, arch: str) -> dict[str, Any]:
    from ddcore.measure import ranking
    from ddcore.measure.spec import EvaluateTask
    from ddcore.sets.distilled import DistilledSet

    protocol = task.spec_as(EvaluateTask).protocol
    own = ranking.with_own_labels(DistilledSet.from_task(run), protocol)
    rows = {r["subject"]: r for r in task.result()["rows"] if r["arch"] == arch}
    found = ranking.improvement_over_random(rows, own)
    if found is None:
        raise Damaged(f"evaluation {task.key} has no row of the run, or none of random images.")
    return {**asdict(found), "text": found.over_random.points()}


def _print_run(answer: dict[str, Any]) -> None:
    print(f"run {answer['key']}: {answer['method']} on {answer['dataset']}, {answer['seconds']} s")
    if "weight_error" in answer:
        from ddcore.distil.methods.krr_exact import verdict

        print(verdict(answer))
    if "test_accuracy" not in answer:
        return
    print(f"test accuracy, protocol {answer['protocol']}, {answer['arch']}:")
    rows = {"distilled": answer["test_accuracy"], **answer["baselines"]}
    if "before" in answer:
        rows = {"before, not trained on any set": answer["before"], **rows}
    if "other_inits" in answer:
        rows["distilled, other initialisations"] = answer["other_inits"]
    for name, row in rows.items():
        print(f"  {name:34s} {figure_text(row)}")
    if better := answer.get("improvement_over_random"):
        print(f"improvement over random: {better['text']}")
        if better["note"]:
            print(f"  {better['note']}")
    for name, figures in answer.get("attack", {}).items():
        flipped = f"class {figures['attacked']} called {figures['target']}"
        print(f"attack, {name}: {flipped} {figure_text(figures['flipped'])}")
        print(f"  {'accuracy on the other classes':34s} {figure_text(figures['others'])}")
        print(f"  {'accuracy by the changed labels':34s} {figure_text(figures['modified'])}")
