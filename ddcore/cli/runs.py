"""`distill`, `evaluate`, `export`: a set is made, judged and written out."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ddcore.base.errors import Damaged, NotReady, SpecError
from ddcore.base.fields import declared
from ddcore.base.spread import figure_text
from ddcore.cli import console, fields, follow, graphs, trackers
from ddcore.data.spec import DataSpec
from ddcore.distil.contract import DistillSpec
from ddcore.graphs.contract import GraphRun
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task


def add(commands: console.Commands) -> None:
    """The commands."""
    summary = "distil a dataset and evaluate the set beside its baselines"
    commands.add("distill", distill, summary, fill=_of_distill, add_help=False, aliases=["distil"])
    summary = "test accuracy of a run beside its baselines"
    commands.add("evaluate", evaluate, summary, fill=_of_evaluate)
    commands.add("export", export, "write a distilled set for use elsewhere", fill=_of_export)
    commands.add("scores", scores, "scores of a file that DD-Ranking wrote", fill=_of_scores)


def _of_distill(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "-h", "--help", action=fields.Help, more=fields.of_run, help="show this message"
    )
    sub.add_argument("method")
    sub.add_argument(
        "--dataset",
        help="a name (digits, for graphs cora), or the path of a folder or graph of yours",
    )
    data, run = declared(DataSpec), declared(DistillSpec)
    sub.add_argument("--resolution", type=int, help=data["resolution"].sentences())
    sub.add_argument("--grey", action="store_true", help=data["grey"].sentences())
    sub.add_argument("--preprocess", default="normalise", help=data["preprocess"].sentences())
    sub.add_argument("--ipc", type=int, help=run["ipc"].sentences())
    sub.add_argument("--ratio", type=float, help="of graphs: " + declared(GraphRun)["ratio"].help)
    sub.add_argument("--seed", type=int, default=0, help=run["seed"].sentences())
    sub.add_argument(
        "--preset", default="quick", help="quick, teaching, paper; hour where a method has it"
    )
    sub.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    sub.add_argument("--no-evaluate", action="store_true", help="stop after distilling")
    sub.add_argument(
        "--log", choices=trackers.TRACKERS, help="write its progress for a tracker too"
    )
    sub.add_argument("--dry-run", action="store_true", help="print the estimate and stop")


def _of_evaluate(sub: argparse.ArgumentParser) -> None:
    from ddcore.cli import evaluating
    from ddcore.measure.spec import BEST_EVERY, EvaluateTask
    from ddcore.training.protocols import Protocol

    sub.add_argument("run")
    asked = declared(EvaluateTask)
    sub.add_argument("--protocol", help=asked["protocol"].help)
    stages = declared(Protocol)["stages"]
    sub.add_argument("--stages", type=int, metavar="N", help=stages.sentences())
    sub.add_argument("--nets", type=int, help=asked["nets"].sentences())
    sub.add_argument(
        "--arch", nargs="+", metavar="NET", help="such as mlp, or with a width convnet-32"
    )
    sub.add_argument("--baseline", nargs="+", help=asked["baselines"].sentences())
    sub.add_argument("--seed", type=int, default=0, help=asked["seed"].sentences())
    evaluating.add_labels(sub)
    sub.add_argument(
        "--as-published",
        nargs="?",
        type=int,
        const=BEST_EVERY,
        metavar="EPOCHS",
        help=f"also the best test accuracy on the way, looked at every so many epochs ({BEST_EVERY}): what "
        "many published figures are",
    )
    sub.add_argument("--dry-run", action="store_true", help="print the estimate and stop")
    sub.add_argument(
        "--threshold",
        nargs="+",
        type=float,
        help="of graphs: leave out edges that are not above it",
    )


def _of_export(sub: argparse.ArgumentParser) -> None:
    from ddcore.sets.formats import BENCHMARKS, FORMATS

    sub.add_argument("run")
    sub.add_argument("--format", required=True, choices=[*FORMATS, *BENCHMARKS])
    sub.add_argument("--force", action="store_true", help="replace what is there by that name")
    sub.add_argument("out")


def _of_scores(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("file", help="its CSV, with the parts of LRS or of ARS in per cent")


def distill(options: argparse.Namespace) -> int:
    """`distill METHOD`: run, evaluate beside the baselines, print."""
    from ddcore.data import dataset_task, resolve
    from ddcore.distil.settings import make_spec

    if options.log:
        trackers.check()
    if graphs.is_graph_method(options.method):
        return graphs.distill(options)
    if options.ratio is not None:
        raise SpecError("ratio", options.ratio, f"no such option with {options.method}: say --ipc")
    store = Store()
    named = "digits" if options.dataset is None else options.dataset
    form = {"resolution": options.resolution, "grey": options.grey}
    data = resolve(named, **form, preprocess=options.preprocess)
    dataset = follow.compute(store, dataset_task(data))
    facts = dataset.result()
    spec = make_spec(
        options.method,
        data,
        tuple(facts["shape"]),
        ipc=1 if options.ipc is None else options.ipc,
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
    run = trackers.watch(store, tasks[0], options.log)
    answer = _run_facts(run)
    if not options.no_evaluate:
        answer |= _evaluation_facts(follow.watch(store, tasks[1]), run)
    console.output(options, answer, lambda: _print_run(answer))
    return 0


def evaluate(options: argparse.Namespace) -> None:
    """`evaluate RUN`: under another protocol, with other networks, more baselines."""
    from ddcore.cli import evaluating
    from ddcore.measure import fair
    from ddcore.measure.spec import default_evaluation, run_of
    from ddcore.nets.words import judge
    from ddcore.sets.distilled import DistilledSet
    from ddcore.training.protocols import in_stages, protocol

    store = Store()
    if graphs.is_graph_run(store, options.run):
        evaluating.refuse(options)
        return graphs.evaluate(options)
    if options.threshold:
        raise SpecError("threshold", options.threshold, "no threshold, since there are no edges")
    run = _run(store, options.run)
    changes: dict[str, Any] = {"seed": options.seed}
    if options.protocol:
        changes["protocol"] = protocol(options.protocol)
        changes["nets"] = changes["protocol"].nets
    if options.stages is not None:
        base = changes.get("protocol", run_of(run).protocol)
        changes["protocol"] = in_stages(base, options.stages)
    if options.nets:
        changes["nets"] = options.nets
    if options.arch:
        own, result = run_of(run).net, run.result()
        form = tuple(result["shape"]), len(result["set"]["class_names"])
        found = (judge("arch", text, own, *form) for text in options.arch)
        changes["archs"] = tuple(dict.fromkeys(found))
    if options.as_published is not None:
        changes["best_every"] = options.as_published
    if options.baseline:
        chosen = dict.fromkeys(["random", "class_mean", *options.baseline])
        changes["baselines"] = tuple(chosen)
    changes |= evaluating.labelling(options, run, changes.get("protocol", run_of(run).protocol))
    wanted = [default_evaluation(run.key, run_of(run), **changes)]
    made = DistilledSet.from_task(run)
    if options.fair:
        wanted = fair.needed(wanted[0], made)
    if options.dry_run:
        from ddcore.measure.estimate import evaluation

        for asked in wanted:
            guess = evaluation(asked, run_of(run), store, made.shape, made.num_classes)
            print(f"{asked.title()} ({asked.key}): {guess.sentence()}")
        return
    task, *_ = [follow.compute(store, asked) for asked in wanted]
    answer = _run_facts(run) | _evaluation_facts(task, run)
    console.output(options, answer, lambda: _print_run(answer))


def export(options: argparse.Namespace) -> None:
    """`export RUN --format F OUT`."""
    from ddcore.sets import exports
    from ddcore.sets.distilled import DistilledSet

    if graphs.is_graph_run(Store(), options.run):
        return graphs.export(options)
    run = _run(Store(), options.run)
    made = DistilledSet.from_task(run)
    out = exports.export(made, options.format, Path(options.out), force=options.force)
    console.output(options, {"key": run.key, "path": str(out)}, lambda: print(out))


def scores(options: argparse.Namespace) -> None:
    """`scores FILE`: the parts that DD-Ranking wrote, and its score computed anew from them."""
    from ddcore.measure import ranking_file

    path = Path(options.file)
    if not path.is_file() or path.stat().st_size > ranking_file.MOST_BYTES:
        raise SpecError("file", options.file, "a file of scores that DD-Ranking wrote")
    found = ranking_file.read(path.read_text(errors="replace"))
    answer = asdict(found)
    console.output(options, answer, lambda: [print(line) for line in ranking_file.lines(found)])


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
    from ddcore.cli import evaluating

    result = task.result()
    first = result["rows"][0]["arch"]
    by_subject = {r["subject"]: console.figure(r) for r in result["rows"] if r["arch"] == first}
    answer = {
        "evaluation": task.key,
        "protocol": result["protocol"]["name"],
        **evaluating.label_facts(task, Store()),
        "arch": first,
        "test_accuracy": by_subject.pop("distilled"),
    }
    best = {
        row["subject"]: console.figure(row["best_on_test"])
        for row in result["rows"]
        if row["arch"] == first and "best_on_test" in row
    }
    if best:  # beside the honest figure, never instead of it
        answer["best_on_test"] = best
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
        answer["fair"] = evaluating.fair_facts(task, run, Store(), first)
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
    made = DistilledSet.from_task(run)
    own = not task.spec_as(EvaluateTask).labels and ranking.with_own_labels(made, protocol)
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
    said = "" if answer["labels"] == "own" else f", labels {answer['labels']}"
    print(f"test accuracy, protocol {answer['protocol']}{said}, {answer['arch']}:")
    rows = {"distilled": answer["test_accuracy"], **answer["baselines"]}
    if "before" in answer:
        rows = {"before, not trained on any set": answer["before"], **rows}
    if "other_inits" in answer:
        rows["distilled, other initialisations"] = answer["other_inits"]
    for name, row in rows.items():
        print(f"  {name:34s} {figure_text(row)}")
    if best := answer.get("best_on_test"):
        print("as published (best on test, chosen on the images it is measured on):")
        for name, row in best.items():
            print(f"  {name:34s} {figure_text(row)}")
    if better := answer.get("improvement_over_random"):
        print(f"improvement over random: {better['text']}")
        if better["note"]:
            print(f"  {better['note']}")
        from ddcore.cli import evaluating

        evaluating.print_fair(answer["fair"])
    for name, figures in answer.get("attack", {}).items():
        flipped = f"class {figures['attacked']} called {figures['target']}"
        print(f"attack, {name}: {flipped} {figure_text(figures['flipped'])}")
        print(f"  {'accuracy on the other classes':34s} {figure_text(figures['others'])}")
        print(f"  {'accuracy by the changed labels':34s} {figure_text(figures['modified'])}")
