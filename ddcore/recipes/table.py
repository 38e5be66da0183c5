"""The table of reproduction: published figures beside ours, from what has been computed. No torch.

A run is found by its settings but for the files of the dataset: results that were computed elsewhere are
shown on machines without these files. Of a set too large to ship only the figures are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ddcore.base.specs import canonical_json, content_key
from ddcore.base.spread import figure_text
from ddcore.base.texts import duration
from ddcore.data.registry import get
from ddcore.distil.contract import DistillSpec, method
from ddcore.measure.spec import EvaluateTask
from ddcore.recipes import large, recipes
from ddcore.recipes.base import Judged, Published, Recipe, RecipeRow
from ddcore.tasks.store import Store, Task

FILES = ("source", "fingerprint", "path")  # of a dataset: where its pictures were read from
WORDS = {  # of quoted findings
    "weight_error": "weights differ by {:.0e}",
    "whole_accuracy": "the model copied {:.1%}",
}


@dataclass(frozen=True)
class Line:
    """One published figure, or its place, and ours. Shares as in results: mean, std, n.

    `net` is the network that learns from the set; nothing where it is a kernel.
    """

    recipe: Recipe
    row: RecipeRow
    protocol: str
    published: Published | None
    key: str  # of the settings of set and judgement, whatever files the dataset is read from
    run: Task | None = None
    evaluation: Task | None = None
    ours: dict[str, Any] | None = None
    random: dict[str, Any] | None = None
    class_mean: dict[str, Any] | None = None
    quoted: str = ""
    data: str = ""
    net: str = ""
    device: str = ""
    seconds: float = 0.0  # of a graphics card, or of a processor's cores together

    @property
    def name(self) -> tuple[str, str, str]:
        """What tells it from all others."""
        return self.recipe.name, self.row.name, self.judged_by

    @property
    def judged_by(self) -> str:
        """The protocol and the network."""
        return f"{self.protocol}, {self.net}" if self.net else self.protocol

    @property
    def command(self) -> str:
        """What makes it."""
        return f"python -m ddcore reproduce {self.recipe.name} --only {self.row.name}"

    @property
    def took(self) -> str:
        """How long distilling took, and on what."""
        if not self.device:
            return "–"
        return f"{'CPU' if self.device == 'cpu' else self.device}, {duration(self.seconds)}"

    @property
    def title(self) -> str:
        """The set in few words."""
        of = method(self.row.method)
        variant = [self.row.settings[name] for name in of.variants if name in self.row.settings]
        data = self.data or get(self.row.dataset).title
        seed = f"seed {self.row.seed}" if self._has_sisters() else ""
        parts = [of.title, *variant, data, f"{self.row.ipc} per class", seed]
        return ", ".join(part for part in parts if part)

    def _has_sisters(self) -> bool:
        """Whether the recipe makes the same set with other seeds."""

        def made(row: RecipeRow) -> RecipeRow:
            return replace(row, name="", seed=0, judged=(), differs="")

        return sum(made(row) == made(self.row) for row in self.recipe.rows) > 1


def lines(store: Store) -> list[Line]:
    """Every line of every recipe."""
    runs, judgements = finished(store, "distill"), finished(store, "evaluate")
    shown, told = [r for r in recipes().values() if not r.repeats], large.read(store)
    found = [line for r in shown for line in _of(r, runs, judgements)]
    return [line if line.run else replace(line, **told.get(line.key, {})) for line in found]


def figures(line: Line) -> dict[str, Any]:
    """What can be told of a line without its set."""
    return {name: getattr(line, name) for name in large.FIGURES}


def finished(store: Store, kind: str) -> dict[str, Task]:
    """The finished tasks of a kind by their fields, whatever files their dataset was read from."""
    done = [task for task in store.tasks(kind) if task.opens()]
    return {without_files(task.document()["spec"]): task for task in reversed(done)}


def _of(recipe: Recipe, runs: dict[str, Task], judgements: dict[str, Task]) -> Iterator[Line]:
    for row in recipe.rows:
        wanted = row.run()
        run = runs.get(without_files(wanted.to_dict()))
        for judged in row.judged:
            task = row.evaluation(wanted, wanted.key, judged)
            net = "" if task.protocol.closed_form else task.archs[0].label()
            labels = f", {task.labels.title()}" if task.labels else ""
            how = task.protocol.name + labels
            line = Line(recipe, row, how, judged.published, _key(wanted, task), net=net)
            yield _filled(line, run, judged, judgements) if run else line


def _key(run: DistillSpec, judged: EvaluateTask) -> str:
    fields = {"run": run.to_dict(), "judged": judged.to_dict() | {"run_key": ""}}
    return content_key("reproduced", large.VERSION, _without_files(fields))


def _filled(line: Line, run: Task, judged: Judged, judgements: dict[str, Task]) -> Line:
    """The line with the figures of a finished run."""
    result = run.result()
    line = replace(
        line,
        run=run,
        data=result["data_label"],
        device=result["device"],
        seconds=result["cpu_seconds"] if result["device"] == "cpu" else result["seconds"],
    )
    wanted = line.row.evaluation(run.spec_as(DistillSpec), run.key, judged)
    evaluation = judgements.get(without_files(wanted.to_dict()))
    if evaluation is None:
        return line
    rows = {r["subject"]: r for r in evaluation.result()["rows"]}
    return replace(
        line,
        evaluation=evaluation,
        ours=rows["distilled"],
        random=rows.get("random"),
        class_mean=rows.get("class_mean"),
        quoted=_quoted(line.row, result.get("findings", {}), rows["distilled"].get("attack", {})),
    )


def without_files(fields: dict[str, Any]) -> str:
    """The fields of a spec as JSON, without what only says where pictures were read from."""
    return canonical_json(_without_files(fields))


def _without_files(fields: Any) -> Any:
    if isinstance(fields, dict):
        files = FILES if "split_seed" in fields else ()
        return {k: _without_files(v) for k, v in fields.items() if k not in files}
    return [_without_files(v) for v in fields] if isinstance(fields, list) else fields


def _quoted(row: RecipeRow, findings: dict[str, Any], attack: dict[str, Any]) -> str:
    parts = []
    for name in row.quoted:
        if name in attack:
            parts.append(f"{name} {percent(attack[name])}")
        elif name in findings:
            parts.append(WORDS[name].format(findings[name]))
    return ", ".join(parts)


def percent(figure: dict[str, Any] | None) -> str:
    """A figure as text, or a dash."""
    return figure_text(figure) if figure else "–"


def markdown(found_lines: Iterable[Line]) -> str:
    """What was measured as the table of docs/results.md, and the names of the rows that still wait."""
    head = "| set | protocol | published | ours | random real | class mean | distilling took |"
    rows = [head, "|---|---|---|---|---|---|---|"]
    waiting: dict[str, dict[str, None]] = {}  # a recipe's rows, in order and once each
    for line in found_lines:
        if not line.ours:  # of a finished set, only this judgement is missing
            name = f"{line.row.name} by {line.judged_by}" if line.run else line.row.name
            waiting.setdefault(line.recipe.name, {})[name] = None
            continue
        published = f"{line.published.text()}" if line.published else "–"
        title = f"`{line.row.name}`: {line.title}"
        ours = percent(line.ours) + (f"; {line.quoted}" if line.quoted else "")
        others = f"{percent(line.random)} | {percent(line.class_mean)}"
        rows.append(
            f"| {title} | {line.judged_by} | {published} | {ours} | {others} | {line.took} |"
        )
    left = [f"`{name}` ({', '.join(names)})" for name, names in waiting.items()]
    note = f"\n\nNot measured yet: {'; '.join(left)}." if left else ""
    return "\n".join(rows) + note
