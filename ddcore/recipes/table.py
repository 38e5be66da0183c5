"""The table of reproduction: published figures beside ours, from what has been computed. No torch.

A run is found by its key, or by its settings where only the files of the dataset differ: results that were
computed elsewhere are shown on machines without these files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ddcore.estimate import duration
from ddcore.evaluation_spec import EvaluateTask
from ddcore.methods import method
from ddcore.recipes import recipes
from ddcore.recipes.base import Judged, Published, Recipe, Row
from ddcore.store import Store, Task

FILES = ("source", "fingerprint", "path")  # of a dataset: where its pictures were read from
WORDS = {  # of quoted findings
    "weight_error": "weights differ by {:.0e}",
    "whole_accuracy": "all data {:.1%}",
}


@dataclass(frozen=True)
class Line:
    """One published figure, or its place, and ours. Shares as in results: mean, std, n."""

    recipe: Recipe
    row: Row
    protocol: str
    published: Published | None
    run: Task | None = None
    evaluation: Task | None = None
    ours: dict[str, Any] | None = None
    random: dict[str, Any] | None = None
    class_mean: dict[str, Any] | None = None
    quoted: str = ""
    data: str = ""
    device: str = ""
    seconds: float = 0.0  # of a graphics card, or of a processor's cores together

    @property
    def command(self) -> str:
        """What makes it."""
        return f"python -m ddcore reproduce {self.recipe.name} --only {self.row.name}"

    @property
    def took(self) -> str:
        """How long distilling took, and on what."""
        if not self.run:
            return "–"
        return f"{'CPU' if self.device == 'cpu' else self.device}, {duration(self.seconds)}"

    @property
    def images(self) -> str:
        """What is distilled into how much."""
        return f"{self.data or self.row.dataset}, {self.row.ipc} per class"


def lines(store: Store) -> list[Line]:
    """Every line of every recipe."""
    runs = list(store.tasks("distill"))
    judgements = list(store.tasks("evaluate"))
    return [line for r in recipes().values() for line in _of(r, runs, judgements)]


def _of(recipe: Recipe, runs: list[Task], judgements: list[Task]) -> Iterator[Line]:
    for row in recipe.rows:
        if recipe.repeats:
            continue
        wanted = row.run()
        run = found(runs, wanted.to_dict())
        for judged in row.judged:
            name = judged.protocol or wanted.protocol.name
            line = Line(recipe, row, name, judged.published)
            yield _filled(line, run, judged, judgements) if run else line


def _filled(line: Line, run: Task, judged: Judged, judgements: list[Task]) -> Line:
    """The line with the figures of a finished run."""
    result = run.result()
    line = replace(
        line,
        run=run,
        data=result["data_label"],
        device=result["device"],
        seconds=result["cpu_seconds"] if result["device"] == "cpu" else result["seconds"],
    )
    wanted: EvaluateTask = line.row.evaluation(run.spec(), run.key, judged)
    evaluation = found(judgements, wanted.to_dict())
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


def found(tasks: Iterable[Task], wanted: dict[str, Any]) -> Task | None:
    """The finished task with these fields, whatever files its dataset was read from."""
    wanted = without_files(wanted)
    for task in tasks:
        if task.is_done() and without_files(task.document()["spec"]) == wanted:
            return task
    return None


def without_files(fields: Any) -> Any:
    """The fields of a spec without what only says where pictures were read from."""
    if isinstance(fields, dict):
        files = FILES if "split_seed" in fields else ()
        return {k: without_files(v) for k, v in fields.items() if k not in files}
    if isinstance(fields, (list, tuple)):
        return [without_files(v) for v in fields]
    return fields


def _quoted(row: Row, findings: dict[str, Any], attack: dict[str, Any]) -> str:
    parts = []
    for name in row.quoted:
        if name in attack:
            parts.append(f"{name} {percent(attack[name])}")
        elif name in findings:
            parts.append(WORDS[name].format(findings[name]))
    return ", ".join(parts)


def percent(figure: dict[str, Any] | None) -> str:
    """ "84.6 ± 1.8 % (n = 10)", or a dash."""
    if not figure:
        return "–"
    spread = f" ± {100 * figure['std']:.1f}" if figure["n"] > 1 else ""
    return f"{100 * figure['mean']:.1f}{spread} % (n = {figure['n']})"


def markdown(found_lines: Iterable[Line]) -> str:
    """What was measured as a table for a README, and the names of the rows that still wait."""
    head = "| set | protocol | published | ours | random real | class mean | distilling took |"
    rows, waiting = [head, "|---|---|---|---|---|---|---|"], {}
    for line in found_lines:
        if not line.ours:
            waiting.setdefault(line.recipe.name, {})[line.row.name] = None
            continue
        published = f"{line.published.text()}" if line.published else "–"
        title = f"`{line.row.name}`: {method(line.row.method).title}, {line.images}"
        ours = percent(line.ours) + (f"; {line.quoted}" if line.quoted else "")
        others = f"{percent(line.random)} | {percent(line.class_mean)}"
        rows.append(
            f"| {title} | {line.protocol} | {published} | {ours} | {others} | {line.took} |"
        )
    left = [f"`{name}` ({', '.join(names)})" for name, names in waiting.items()]
    note = f"\n\nNot measured yet: {'; '.join(left)}." if left else ""
    return "\n".join(rows) + note
