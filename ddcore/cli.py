"""The command line: the same store, the same tasks as the dashboard.

python -m ddcore distill dm --dataset digits --ipc 1 --json
python -m ddcore export RUN --format npz distilled.npz
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ddcore.base import environment, paths, spread
from ddcore.base.errors import Damaged, DDError, NotReady, SpecError, refused_by_system
from ddcore.base.specs import TaskSpec
from ddcore.base.spread import figure_text
from ddcore.sets.formats import FORMATS
from ddcore.tasks import jobs
from ddcore.tasks.store import Store, Task

if TYPE_CHECKING:
    from ddcore.data import DataSpec
    from ddcore.nets.architectures import NetSpec
    from ddcore.nets.plan import Shape
    from ddcore.recipes.base import Recipe, Step
    from ddcore.recipes.table import Line
    from ddcore.training.estimate import Estimate


def main(arguments: list[str] | None = None, prog: str = "python -m ddcore") -> int:
    """Run a command; returns the exit code. `prog` is what usage messages call it."""
    return execute(_parser(prog), arguments)


def execute(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    """Call the chosen command; expected errors are one line on stderr and exit code 2."""
    options = parser.parse_args(arguments)
    try:
        environment.check()
        return options.command(options) or 0
    except DDError as error:
        return _refuse(options, str(error))
    except BrokenPipeError:
        return 0
    except OSError as error:  # a full disk, a store that is read-only
        return _refuse(options, refused_by_system(error))


def _refuse(options: argparse.Namespace, sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    if getattr(options, "json", False):
        print(json.dumps({"state": "failed", "error": sentence}))
    return 2


# --- commands -----------------------------------------------------------------------------------


def work(options: argparse.Namespace) -> int:
    """Worker entry point (used by the launcher)."""
    from ddcore.tasks.worker import work as run_folders
    from ddcore.training.speed import measure_once

    return run_folders([Path(f).resolve() for f in options.folders], after=measure_once)


def list_things(options: argparse.Namespace) -> None:
    """`list methods|datasets|runs|protocols|nets`."""
    rows = _LISTS[options.what](Store())
    output(options, rows, lambda: [print(line(r)) for r in rows])


def distill(options: argparse.Namespace) -> int:
    """`distill METHOD`: run, evaluate beside the baselines, print."""
    from ddcore.data import dataset_task, resolve
    from ddcore.distil.settings import make_spec

    store = Store()
    data = resolve(options.dataset, resolution=options.resolution, grey=options.grey)
    dataset = compute(store, dataset_task(data))
    facts = dataset.result()
    spec = make_spec(
        options.method,
        data,
        tuple(facts["shape"]),
        ipc=options.ipc,
        seed=options.seed,
        preset=options.preset,
        settings=[setting(s) for s in options.set],
    )
    if options.dry_run:
        from ddcore.distil.estimate import distillation

        guess = distillation(spec, store, tuple(facts["shape"]), len(facts["class_names"]))
        print(f"{spec.title()} ({spec.key}): {guess.sentence()}")
        return 0
    tasks = jobs.submit(store, [spec, *([] if options.no_evaluate else spec.follow_ups())])
    run = watch(store, tasks[0])
    answer = _run_facts(run)
    if not options.no_evaluate:
        answer |= _evaluation_facts(watch(store, tasks[1]), run)
    output(options, answer, lambda: _print_run(answer))
    return 0


def evaluate(options: argparse.Namespace) -> None:
    """`evaluate RUN`: under another protocol, with other networks, more baselines."""
    from ddcore.measure.spec import default_evaluation
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
        own, result = run.spec().net, run.result()
        form = tuple(result["shape"]), len(result["set"]["class_names"])
        found = (judge("arch", text, own, *form) for text in options.arch)
        changes["archs"] = tuple(dict.fromkeys(found))
    if options.baseline:
        chosen = dict.fromkeys(["random", "class_mean", *options.baseline])
        changes["baselines"] = tuple(chosen)
    task = compute(store, default_evaluation(run.key, run.spec(), **changes))
    answer = _run_facts(run) | _evaluation_facts(task, run)
    output(options, answer, lambda: _print_run(answer))


def export(options: argparse.Namespace) -> None:
    """`export RUN --format F OUT`."""
    from ddcore.sets import exports
    from ddcore.sets.distilled import DistilledSet

    run = _run(Store(), options.run)
    made = DistilledSet.from_task(run)
    out = exports.export(made, options.format, Path(options.out), force=options.force)
    output(options, {"key": run.key, "path": str(out)}, lambda: print(out))


def import_set(options: argparse.Namespace) -> None:
    """`import FILE... --dataset D`: open a set that was made elsewhere."""
    from ddcore.data import dataset_task, resolve
    from ddcore.sets import imported
    from ddcore.sets.imported_spec import PIXELS, propose, require_fit, stated_method
    from ddcore.sets.importers.reading import read
    from ddcore.training.protocols import protocol

    files = [paths.typed(f) for f in options.files]
    names = [path.name for path in files]
    store = Store()
    data = resolve(options.dataset, resolution=options.resolution, grey=options.grey)
    given = _from_pictures(store, data, files, options.order) or files
    report = read(list(zip(names, given)), options.format or "", options.experiment)
    facts = compute(store, dataset_task(data)).result()
    form = tuple(facts["shape"]), len(facts["class_names"])
    require_fit(report, *form, facts["label"])
    fields = ("scale", "labels", "tiles", "lr")
    choices = {n: getattr(options, n) for n in fields if getattr(options, n) is not None}
    if options.method:
        choices["method"] = stated_method(options.method)
    if options.protocol:
        choices["protocol"] = protocol(options.protocol)
    if options.arch or options.width or options.depth:
        choices["net"] = _made_with(options, *form)
    spec = propose(report, data, whiten=options.whiten or None, spread=facts["std"], **choices)
    task = imported.bring(store, spec, [_content(each) for each in given], names)
    answer = {
        "key": task.key,
        "state": "done",
        "format": report.importer.name,
        "dataset": data.name,
        "ipc": spec.ipc,
        "scale": spec.scale,
        "method": spec.method or "unknown",
        "files": names,
        "experiment": [spec.experiment, report.found.experiments],
        "notes": list(report.found.notes),
        "why": report.guess.why,
        "values": report.facts.values.sentence(),
        "warnings": report.facts.values.warnings() if report.guess.scale in PIXELS else [],
        "protocol": spec.protocol.name,
        "network": spec.net.label(),
        "alike": watch(store, jobs.submit(store, [spec])[0]).result()["alike"],
    }
    output(options, answer, lambda: _print_import(report.importer.title, answer))


def _from_pictures(
    store: Store, data: DataSpec, files: Sequence[Path], order: str
) -> list[bytes] | None:
    """A file of images and labels instead of a sheet or a folder of pictures; None for other files."""
    from ddcore.data import dataset_task, load
    from ddcore.sets.importers import sheets

    pictures = [path for path in files if sheets.is_pictures(path.name, path)]
    if not pictures and order:
        raise SpecError("order", order, "nothing, since these files hold labels")
    if not pictures:
        return None
    if len(files) > 1:
        raise DDError(f"{len(files)} files were given: expected one sheet or folder of pictures.")
    compute(store, dataset_task(data))
    dataset = load(store, data)
    found = sheets.read(files[0].name, files[0], dataset.shape)
    return [sheets.to_file(found, sheets.label(found, dataset, order))]


def _made_with(options: argparse.Namespace, shape: Shape, classes: int) -> NetSpec:
    """The network of `import --arch`, whose name may hold the width."""
    from ddcore.nets.architectures import NetSpec
    from ddcore.nets.words import network, parse

    arch, width = parse("arch", options.arch or "convnet")
    if width is None:
        return NetSpec(arch=arch, width=options.width, depth=options.depth)
    if options.width:
        raise SpecError("width", options.width, f"nothing beside arch = {options.arch}")
    depth = {"depth": options.depth} if options.depth else {}
    return network("arch", options.arch, shape, classes).replace(**depth)


def _content(path: Path | bytes) -> bytes:
    if isinstance(path, bytes):
        return path
    try:
        return path.read_bytes()
    except OSError as error:
        raise DDError(f"{path} cannot be read ({error.strerror or error}).") from error


def _print_import(title: str, answer: dict[str, Any]) -> None:
    made = f"method {answer['method']}, {answer['ipc']} per class of {answer['dataset']}"
    print(f"set {answer['key']}: {title}, {made}")
    which, count = answer["experiment"]
    if count > 1:
        print(f"experiment {which} of 0 to {count - 1} in the file; --experiment N opens another")
    for note in answer["notes"]:
        print(note)
    print(f"{answer['values']} {answer['why']} Taken as: {answer['scale']}.")
    for warning in answer["warnings"]:
        print(f"warning: {warning}")
    print(f"evaluate it: python -m ddcore evaluate {answer['key']} (protocol {answer['protocol']})")


def list_jobs(options: argparse.Namespace) -> None:
    """`jobs`: everything queued, running or not finished well."""
    store = Store()
    rows = []
    for task in store.tasks():
        status = jobs.state(task)
        if options.all or status["state"] not in ("done", "missing"):
            rows.append(_job_facts(store, task, status))
    output(options, rows, lambda: [print(line(r)) for r in rows] or print(f"{len(rows)} jobs"))


def cancel(options: argparse.Namespace) -> None:
    """`cancel KEY`."""
    task = Store().find(options.run)
    jobs.cancel(task)
    status = jobs.wait(task, timeout_s=jobs.KILL_AFTER_S + 10)
    output(options, {"key": task.key, "state": status["state"]}, lambda: print(status["state"]))


def resume(options: argparse.Namespace) -> None:
    """`resume KEY`: continue from the checkpoint."""
    store = Store()
    task = watch(store, jobs.resume(store, store.find(options.run)))
    answer = {"key": task.key, **task.status()}
    output(options, answer, lambda: print(f"{task.key} {answer['state']}"))


def prune(options: argparse.Namespace) -> None:
    """`prune [KEY...]`: delete folders that are no results, or those that are named."""
    removed = jobs.prune(
        Store(),
        older_than_days=options.older_than,
        states=options.state,
        keys=options.runs,
        results=options.yes,
    )
    output(options, removed, lambda: print("\n".join(removed) or "nothing to delete"))


def verify(options: argparse.Namespace) -> int:
    """`verify [RUN...]`: compare finished folders with their checksums and keys, find damaged ones."""
    store = Store()
    tasks = [store.find(key) for key in options.runs]
    if not options.runs:
        tasks = [t for t in store.folders() if t.is_done() or jobs.state(t)["state"] == "damaged"]
    found = {t: problems for t in tasks if (problems := t.verify())}
    problems = [p for each in found.values() for p in each]
    cures = [f"python -m ddcore recompute {t.key}, or prune {t.key} to delete it" for t in found]
    answer = {"checked": len(tasks), "problems": problems, "damaged": [t.key for t in found]}
    said = [*problems, *cures, f"{len(tasks)} folders checked"]
    output(options, answer, lambda: print("\n".join(said)))
    return 1 if problems else 0


def recompute(options: argparse.Namespace) -> None:
    """`recompute KEY...`: compute damaged results again."""
    store = Store()
    answers = []
    for task in [store.find(key) for key in options.runs]:
        if jobs.state(task)["state"] != "damaged" and not (task.is_done() and task.verify()):
            raise NotReady(
                f"{task.kind} {task.key} is not damaged: there is nothing to compute again."
            )
        again = watch(store, jobs.recompute(store, task))
        answers.append({"key": again.key, "state": "done"})
    output(options, answers, lambda: [print(line(a)) for a in answers])


def download(options: argparse.Namespace) -> None:
    """`download DATASET`."""
    from ddcore.data import download_task

    task = compute(Store(), download_task(options.dataset))
    output(options, {"key": task.key, "state": "done"}, lambda: print("done"))


def gallery(options: argparse.Namespace) -> None:
    """`gallery`: compute the shipped runs and put them where they are shipped from; or their table."""
    from ddcore.recipes.gallery import build, build_recipes, markdown

    if options.table:
        text = markdown(Store())
        output(options, {"table": text}, lambda: print(text))
        return
    if options.recipes:
        keys = build_recipes()
    else:
        keys = build(watch, only=options.only)
    output(options, keys, lambda: print(f"{len(keys)} folders"))


def reproduce(options: argparse.Namespace) -> int:
    """`reproduce list|table|NAME`: make published results anew, as far as time allows."""
    from ddcore.recipes import make, recipe, recipes, table
    from ddcore.tasks import queue
    from ddcore.training import speed

    store = Store()
    if options.name == "list":
        lines = table.lines(store)
        found = [_recipe_facts(r, lines) for r in recipes().values()]
        output(options, found, lambda: [print(line(r)) for r in found])
        return 0
    if options.name == "table":
        found = table.lines(store)
        facts = [_line_facts(each) for each in found]
        output(options, facts, lambda: print(table.markdown(found)))
        return 0
    chosen = recipe(options.name)
    if options.only not in ("", *(row.name for row in chosen.rows)):
        raise SpecError("only", options.only, "one of " + ", ".join(r.name for r in chosen.rows))
    steps = list(chosen.steps(options.only, options.rehearse))
    if options.dry_run:
        if queue.is_free(store.root, "compute"):  # once: what estimates for large networks rest on
            compute(store, speed.here())
        planned = make.plan(store, steps)
        facts = [_step_facts(*each) for each in planned]
        output(
            options, facts, lambda: [print(line(f)) for f in facts] + [print(make.total(planned))]
        )
        return 0
    minutes = options.minutes or float("inf")
    outcome = make.work_through(store, steps, _follow, minutes=minutes, say=_say)
    facts = {"done": outcome.done, "failed": outcome.failed, "left": outcome.left}
    output(options, facts, lambda: print(outcome.sentence()))
    return 1 if outcome.failed else 0


# --- parts of commands --------------------------------------------------------------------------


def compute(store: Store, spec: TaskSpec) -> Task:
    """Submit a task and follow it to its end."""
    return watch(store, jobs.submit(store, [spec])[0])


def watch(store: Store, task: Task) -> Task:
    """Follow a task to its end with a progress bar; Ctrl-C stops it with a checkpoint."""
    status = _follow(task)
    if status["state"] != "done":
        message = status.get("message") or "no message"
        raise DDError(f"{task.kind} {task.key} {status['state']}: {message}")
    return store.find(task.key)


def _follow(task: Task, timeout_s: float = float("inf")) -> dict[str, Any]:
    """Show a task's progress until it has ended or time is up; its last status."""
    bar = tqdm(desc=task.spec().title(), disable=not sys.stderr.isatty(), leave=False)

    def show(status: dict[str, Any]) -> None:
        bar.total = status.get("total") or None
        bar.n = status.get("step") or 0
        note = f"queued, {status.get('position', 0)} ahead" if status["state"] == "queued" else ""
        bar.set_postfix_str(note or status.get("message") or "")

    try:
        return jobs.wait(task, show, timeout_s=timeout_s)
    except KeyboardInterrupt:
        jobs.cancel(task)
        jobs.wait(task, show)
        raise DDError(f"Stopped; go on with: python -m ddcore resume {task.key}") from None
    finally:
        bar.close()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _recipe_facts(recipe: Recipe, found: list[Line]) -> dict[str, Any]:
    own = [each for each in found if each.recipe.name == recipe.name]
    measured = sum(each.ours is not None for each in own)
    return {
        "name": recipe.name,
        "title": recipe.title,
        "machine": recipe.machine,
        "figures": f"{measured} of {len(own)}" if own else "",
    }


def _line_facts(found: Line) -> dict[str, Any]:
    published = found.published
    return {
        "recipe": found.recipe.name,
        "row": found.row.name,
        "protocol": found.protocol,
        "net": found.net,
        "published": published.text() if published else None,
        "source": published.source if published else None,
        "differs": found.row.differs,
        "run": found.run.key if found.run else None,
        "ours": _figure(found.ours) if found.ours else None,
        "random": _figure(found.random) if found.random else None,
        "class_mean": _figure(found.class_mean) if found.class_mean else None,
        "quoted": found.quoted,
        "device": found.device,
        "seconds": found.seconds,
        "command": found.command,
    }


def _step_facts(step: Step, guess: Estimate | None) -> dict[str, Any]:
    return {
        "row": step.row or "analysis",
        "key": step.spec.key,
        "title": step.spec.title(),
        "estimate": guess.sentence() if guess else "done",
    }


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
    by_subject = {r["subject"]: _figure(r) for r in result["rows"] if r["arch"] == first}
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
            arch: {r["subject"]: _figure(r) for r in result["rows"] if r["arch"] == arch}
            for arch in dict.fromkeys(r["arch"] for r in result["rows"])
        }
    return answer


def _improvement_facts(task: Task, run: Task, arch: str) -> dict[str, Any]:
    from dataclasses import asdict

    from ddcore.measure import ranking
    from ddcore.sets.distilled import DistilledSet

    own = ranking.with_own_labels(DistilledSet.from_task(run), task.spec().protocol)
    rows = {r["subject"]: r for r in task.result()["rows"] if r["arch"] == arch}
    found = ranking.improvement_over_random(rows, own)
    return {**asdict(found), "text": found.over_random.points()}


def _figure(row: dict[str, Any]) -> dict[str, Any]:
    return {"mean": row["mean"], "std": spread.of(row), "n": row["n"]}


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


def _job_facts(store: Store, task: Task, status: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": task.key,
        "kind": task.kind,
        "state": status["state"],
        "step": status.get("step"),
        "total": status.get("total"),
        "position": jobs.queue_position(store, task) if status["state"] == "queued" else None,
        "message": status.get("message", ""),
    }


def _list_methods(store: Store) -> list[dict[str, Any]]:
    from ddcore.distil.contract import methods

    return [{"name": m.name, "title": m.title, "paper": m.paper} for m in methods().values()]


def _list_datasets(store: Store) -> list[dict[str, Any]]:
    from ddcore.base.paths import data_root
    from ddcore.data import datasets

    root = data_root()
    return [
        {
            "name": s.name,
            "title": s.title,
            "classes": len(s.classes),
            "here": s.available(root) or "no",
        }
        for s in datasets().values()
    ]


def _list_runs(store: Store) -> list[dict[str, Any]]:
    from ddcore.sets.distilled import KINDS
    from ddcore.sets.imported import names_of

    rows = []
    for task in (t for kind in KINDS for t in store.tasks(kind)):
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
                "seed": spec.get("seed"),
                "shipped": task.shipped,
                "imported": task.kind == "import",
                "files": ", ".join(names_of(task)) if task.kind == "import" else "",
            }
        )
    return rows


def _list_protocols(store: Store) -> list[dict[str, Any]]:
    from ddcore.training.protocols import PURPOSE

    return [{"name": n, "purpose": p} for n, p in PURPOSE.items()]


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


def output(options: argparse.Namespace, answer: Any, show: Callable[[], Any]) -> None:
    """For people, or one JSON line."""
    if options.json:
        print(json.dumps(answer))
    else:
        show()


def line(row: dict[str, Any]) -> str:
    """The values of a row of a list, for people."""
    return "  ".join(str(v) for v in row.values() if v not in (None, ""))


def setting(text: str) -> tuple[str, str]:
    """The two sides of field=value."""
    name, sign, value = text.partition("=")
    if not sign:
        raise DDError(f"--set {text!r} is not understood: write field=value.")
    return name, value


def _parser(prog: str = "python -m ddcore") -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: Callable, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.set_defaults(command=function)
        sub.add_argument("--json", action="store_true", help="print one JSON line")
        return sub

    sub = command("list", list_things, "what there is: methods, datasets, runs, protocols, nets")
    sub.add_argument("what", choices=sorted(_LISTS))

    sub = command("distill", distill, "distil a dataset and evaluate the set beside its baselines")
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

    sub = command("evaluate", evaluate, "test accuracy of a run beside its baselines")
    sub.add_argument("run")
    sub.add_argument("--protocol")
    sub.add_argument("--nets", type=int)
    sub.add_argument(
        "--arch", nargs="+", metavar="NET", help="such as mlp, or with a width convnet-32"
    )
    sub.add_argument("--baseline", nargs="+", help="beyond random and class_mean")
    sub.add_argument("--seed", type=int, default=0)

    sub = command("export", export, "write a distilled set for use elsewhere")
    sub.add_argument("run")
    sub.add_argument("--format", required=True, choices=list(FORMATS))
    sub.add_argument("--force", action="store_true", help="replace what is there by that name")
    sub.add_argument("out")

    sub = command("import", import_set, "open a set that was made elsewhere")
    sub.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="one file; images and labels; a .png contact sheet; or a folder of class folders of pictures",
    )
    sub.add_argument("--dataset", required=True, help="which it stands for: a name, or a folder")
    sub.add_argument("--resolution", type=int, help="resize the dataset to this side")
    sub.add_argument("--grey", action="store_true", help="convert the dataset to grey")
    sub.add_argument("--format", help="layout of the files; found out without it")
    sub.add_argument("--experiment", type=int, default=0, help="which of several sets in a file")
    sub.add_argument(
        "--scale", help="normalised, unit, byte, signed, zca or zca-regularised; judged without it"
    )
    sub.add_argument(
        "--whiten", action="store_true", help="pixels of a whitened run: judge them so"
    )
    sub.add_argument(
        "--order",
        default="",
        help="of the classes in a sheet: blocks, turns, 3,0,1,... or turns:3,0,1,...; found out without it",
    )
    sub.add_argument("--method", help="what made it, such as dsa; by the file's name without it")
    sub.add_argument("--labels", help="of soft labels: keep, softmax or argmax")
    sub.add_argument("--tiles", type=int, help="so many images lie in each one, each way (IDC)")
    sub.add_argument("--lr", type=float, help="the learned step size, if no file has it")
    sub.add_argument("--protocol", help="how it is meant to be used; the published one without it")
    sub.add_argument("--arch", help="the network it was made with, such as convnet-64")
    sub.add_argument("--width", type=int)
    sub.add_argument("--depth", type=int)

    sub = command("jobs", list_jobs, "what is queued, running or stopped")
    sub.add_argument("--all", action="store_true")
    for name, function, summary in (
        ("cancel", cancel, "stop a task; its checkpoint stays"),
        ("resume", resume, "continue a stopped, failed or lost task"),
    ):
        command(name, function, summary).add_argument("run")
    sub = command(
        "prune", prune, "delete folders that are no results, or those named by their keys"
    )
    sub.add_argument("runs", nargs="*", metavar="KEY")
    sub.add_argument("--older-than", type=float, default=0.0, metavar="DAYS")
    sub.add_argument("--state", action="append", default=[], help="only these states")
    sub.add_argument("--yes", action="store_true", help="finished results too, where chosen")
    sub = command("verify", verify, "compare results with their checksums, find damaged folders")
    sub.add_argument("runs", nargs="*")
    sub = command("recompute", recompute, "compute damaged results again")
    sub.add_argument("runs", nargs="+", metavar="KEY")
    sub = command("download", download, "fetch a dataset into the data root")
    sub.add_argument("dataset")
    sub = command("gallery", gallery, "make the shipped digits runs anew from this repository")
    sub.add_argument(
        "--only", action="append", default=[], metavar="METHOD", help="repeat for several"
    )
    sub.add_argument("--table", action="store_true", help="only print what they reach, as Markdown")
    sub.add_argument(
        "--recipes", action="store_true", help="only copy what recipes have made, from DD_CACHE"
    )
    sub = command(
        "reproduce", reproduce, "make published results anew, in as many sittings as it takes"
    )
    sub.add_argument(
        "name", help="a recipe, or list, or table (what was published and what was found)"
    )
    sub.add_argument("--only", default="", metavar="ROW", help="one row of the recipe")
    sub.add_argument("--dry-run", action="store_true", help="print every step's estimate and stop")
    sub.add_argument("--minutes", type=float, metavar="M", help="stop after so long")
    sub.add_argument("--rehearse", action="store_true", help="the same steps on digits in no time")
    sub = command("work", work, "run task folders (used by the launcher)")
    sub.add_argument("folders", nargs="+")
    return parser
