"""The task `regimes`: the analysis of every seed, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.suite.labels import ANALYSIS
from analysis.suite.labels.result import LabelledSource
from analysis.suite.labels.spec import ORDER
from ddcore.distil.contract import methods

if TYPE_CHECKING:
    from analysis.uses.regimes.spec import RegimesTask
    from ddcore.tasks.worker import Context


def run(context: Context[RegimesTask]) -> None:
    """Task `regimes`: one mean accuracy over networks for each seed, regime, selection and size."""
    spec = context.spec
    cells: dict[tuple[str, str, int], dict[str, list[float]]] = {}
    teachers, label = [], ""
    for place, seed in enumerate(spec.seeds):
        context.progress(place, len(spec.seeds), f"seed {seed}")
        for each in spec.runs(seed):
            context.need(each)
        result = ANALYSIS.result(context.need(spec.labels(seed)))
        label = result.data_label
        teachers.append(result.found.teacher)
        for source in result.found.sources:
            own = cells.setdefault(_cell(source), {kind: [] for kind in ORDER})
            for kind, values in zip(ORDER, result.found.accuracies[source.key]):
                own[kind].append(float(values.mean()))
    context.progress(len(spec.seeds), len(spec.seeds))
    rows: list[dict[str, Any]] = [
        {"selection": name, "title": title, "ipc": ipc, "accuracies": values}
        for (name, title, ipc), values in cells.items()
    ]
    context.save_result({"data_label": label, "teacher": teachers, "rows": rows})


def _cell(source: LabelledSource) -> tuple[str, str, int]:
    """Name, title and size of what is the same over seeds."""
    if source.selection:
        return source.selection, source.label.rpartition(", ")[0], source.ipc
    return source.method, methods()[source.method].title, source.ipc
