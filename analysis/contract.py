"""What an analysis is: a spec over several runs, and a declaration that everything else reads.

An analysis is one package that ends with `ANALYSIS = Analysis(...)`. The command line, the pages, the
report and the contract tests know no analysis by name: they read these declarations. Nothing here
imports torch, plotly or streamlit; figures import plotly and seaborn when they are drawn.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np

from analysis.results import F, Result, from_dict
from analysis.runs import Chosen
from ddcore.base.errors import Outdated, SpecError
from ddcore.base.fields import REQUIRED, seed, text
from ddcore.base.registry import Registry
from ddcore.base.specs import TaskSpec
from ddcore.data.spec import DataSpec
from ddcore.nets.plan import Shape
from ddcore.pools.real_spec import Counts, Need, Pool
from ddcore.tasks.store import KEY_PATTERN, Task

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST = 8  # runs in one figure
PRESETS = {"quick": "Quick", "teaching": "Teaching", "published": "As published"}
COMPUTED = "computed"  # in place of a preset where several analyses are shown: of each the largest there is
COMPUTED_OR = {COMPUTED: "Computed", **PRESETS}
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class AnalysisTask(TaskSpec):
    """A question about 1 to 8 runs or opened sets, all made for the same data.

    The order of `run_keys` changes nothing, so they are sorted: one key for one computation. Fields of
    subclasses are plain values, so that a form and the command line can set them.
    """

    ESTIMATE: ClassVar[str] = "analysis.settings:need_of_analysis"

    run_keys: tuple[str, ...] = text(
        REQUIRED, "The runs and opened sets it is about, by their keys."
    )
    seed: int = seed()

    def __post_init__(self) -> None:
        if isinstance(self.run_keys, (list, tuple)) and all(
            isinstance(k, str) for k in self.run_keys
        ):
            object.__setattr__(self, "run_keys", tuple(sorted(self.run_keys)))
        super().__post_init__()

    def validate(self) -> None:
        """Check the keys' form; what they stand for is checked by `choose`. Subclasses call this."""
        n = len(set(self.run_keys))
        ok = 1 <= n == len(self.run_keys) <= MOST and all(map(KEY_PATTERN.fullmatch, self.run_keys))
        self.require("run_keys", ok, f"the keys of 1 to {MOST} different runs")

    def title(self) -> str:
        """Line for lists."""
        count = len(self.run_keys)
        return f"{self.KIND} of {count} set{'s' if count > 1 else ''}"


S = TypeVar("S", bound=AnalysisTask)


# --- what is seen of a result ---------------------------------------------------------------------


def seen(result: Result[F], how: Callable[[str], str]) -> Result[F]:
    """A result in which everything that other people wrote has passed through `how`.

    Figures and sentences are drawn from it, each with what their medium needs (see
    `ddcore.base.foreign_text`); tables and pictures know no markup and take the result as it is.
    """
    return dataclasses.replace(
        result,
        runs=tuple(dataclasses.replace(run, label=how(run.label)) for run in result.runs),
        data_label=how(result.data_label),
        class_names=tuple(map(how, result.class_names)),
        found=result.found.seen(how),
    )


# --- the declaration ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """A choice that changes a figure but nothing that is computed: id to words, the first is usual.

    `usual` is taken instead of the first where choices have an order of their own, as those of a `slider`.
    """

    name: str
    label: str
    choices: dict[str, str]
    slider: bool = False
    usual: str = ""

    @property
    def default(self) -> str:
        """What is shown where nothing is chosen."""
        return self.usual or next(iter(self.choices))


def answers(
    options: Callable[[Result[F], dict[str, str]], Iterator[Option]],
    result: Result[F],
    pick: Callable[[Option], str] | None = None,
) -> dict[str, str]:
    """What `pick` chooses of options that come one after the other; without it the usual ones."""
    found: dict[str, str] = {}
    for option in options(result, found):
        found[option.name] = pick(option) if pick else option.default
    return found


@dataclass(frozen=True)
class Drawn:
    """A plotly figure with its title and a sentence that says what it shows (also its alt text).

    A page shows the first figure whole and those that are `wide`, the others two in a row, and those that are
    `folded` when asked to.
    """

    title: str
    figure: Figure
    caption: str
    folded: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Pictures:
    """Images that belong together: pixels (n, C, H, W), 0..1 for real ones, and a line for each."""

    title: str
    pixels: np.ndarray
    labels: list[str]
    folded: bool = False


def _no_pools(spec: AnalysisTask, chosen: Chosen) -> Mapping[str, Pool]:
    return {}


def _any_data(data: DataSpec) -> str:
    return ""


def _no_options(result: Result[Any], picked: dict[str, str]) -> Iterator[Option]:
    yield from ()


def _no_pictures(result: Result[Any], arrays: Arrays) -> list[Pictures]:
    return []


@dataclass(frozen=True)
class Analysis(Generic[S, F]):
    """One question about distilled sets, answered.

    Texts are plain words in Markdown: `question` ends with a question mark; `read` and `doubt` say how
    to read and how to doubt the figures; `paper` what Yang et al. 2024 found; `differs` what is done
    otherwise than in their code, and why. `presets(data name, shape, ipc)` gives the fields that differ
    from the defaults under each name of `PRESETS`. `pools` are the shared tasks it will need, named (by the
    run's key where each run has its own), `cost` what comes on top. `found` is the schema of what is found.
    Everything from `figures` on sees only a finished task's result and arrays. `headline` is the answer in
    at most 20 words, with the number that matters; `sentence` is all of it, set by set. `options` yields
    choices one after the other and is told what was picked so far. `smallest` are fields of a run of
    seconds, on which every contract is tested, with sets for `smallest_data`. Sets with fewer than
    `least_ipc` images per class are refused, because `least_why`, and those for other data than the question
    is about, where `lacking(data)` says in place of "" which sets are expected.
    """

    name: str
    title: str
    icon: str
    order: int
    question: str
    read: str
    doubt: str
    paper: str
    differs: str
    spec: type[S]
    found: type[F]
    presets: Callable[[str, Shape, int], dict[str, dict[str, Any]]]
    cost: Callable[[S, Chosen, Counts], Need]
    figures: Callable[[Result[F], Arrays, dict[str, str]], list[Drawn]]
    table: Callable[[Result[F], Arrays], list[dict[str, Any]]]
    headline: Callable[[Result[F]], str]
    sentence: Callable[[Result[F]], str]
    pools: Callable[[S, Chosen], Mapping[str, Pool]] = _no_pools
    options: Callable[[Result[F], dict[str, str]], Iterator[Option]] = _no_options
    pictures: Callable[[Result[F], Arrays], list[Pictures]] = _no_pictures
    smallest: dict[str, Any] = field(default_factory=dict)
    smallest_data: str = "digits"
    least_ipc: int = 1
    least_why: str = ""
    lacking: Callable[[DataSpec], str] = _any_data

    def check(self, chosen: Chosen) -> None:
        """`SpecError` if a run is too small for this question, or the data are not what it is about."""
        if allowed := self.lacking(chosen.data):
            raise SpecError("run_keys", chosen.runs[0].key, allowed)
        for run in chosen.runs:
            if run.ipc < self.least_ipc:
                allowed = f"sets with {self.least_ipc} or more images per class: {self.least_why}"
                raise SpecError("run_keys", run.key, allowed)

    def result(self, task: Task) -> Result[F]:
        """What a finished task of this analysis found; `Outdated` where another version computed it."""
        if old := task.outdated():
            raise Outdated(old)
        return from_dict(self.found, task.result())


ANALYSES: Registry[Analysis[Any, Any]] = Registry(
    "analysis", "analysis.suite", "ANALYSIS", order=lambda a: a.order
)
analyses, analysis = ANALYSES.all, ANALYSES.get


def of_spec(spec: TaskSpec) -> Analysis[Any, Any]:
    """The declaration that a spec belongs to: its kind is the analysis' name."""
    return ANALYSES.get(spec.KIND)
