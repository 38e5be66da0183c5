"""What a method for graphs and a run of one are: declarations and specs. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from ddcore.base.errors import SpecError
from ddcore.base.fields import REQUIRED, choice, number, part, seed
from ddcore.base.registry import Registry
from ddcore.base.specs import TaskSpec, field_types, parse_text, task_class, with_setting
from ddcore.graphs.params import GraphParams
from ddcore.graphs.protocols import GRAPH_PROTOCOLS, NETS, GraphProtocol, graph_protocol
from ddcore.graphs.spec import GraphData

if TYPE_CHECKING:
    from ddcore.distil.loop import Driven
    from ddcore.graphs.problem import GraphProblem


@dataclass(frozen=True)
class GraphMethod:
    """A method that makes a small graph. `build` wires it (imports torch inside).

    `presets` give for quick, teaching and paper the fields of `GraphRun` that differ from the defaults;
    `seconds` roughly what an epoch of a 70-node graph of 1,433 features takes of one core. `smallest` are
    settings of a run of seconds.
    """

    name: str
    title: str
    idea: str
    explanation: str
    paper: str
    params: type[GraphParams]
    build: Callable[[GraphProblem], Driven]
    presets: dict[str, dict[str, Any]]
    seconds: float
    smallest: dict[str, str] = field(default_factory=dict)


GRAPH_METHODS: Registry[GraphMethod] = Registry("method", "ddcore.graphs.methods", "GRAPH_METHOD")
graph_methods, graph_method = GRAPH_METHODS.all, GRAPH_METHODS.get


@dataclass(frozen=True, kw_only=True)
class GraphRun(TaskSpec):
    """One condensation: which graph, how many nodes, by which method. Test nodes never steer anything."""

    KIND: ClassVar[str] = "graph_run"
    RUNNER: ClassVar[str] = "ddcore.graphs.condense:run"

    method: str = choice(REQUIRED, GRAPH_METHODS.all, "What makes the set.")
    data: GraphData = part(GraphData, "The graph it is made from.")
    ratio: float = number(
        0.5, 1e-4, 1, "Nodes of the set, as a share of the labelled training nodes."
    )
    seed: int = seed(help="Another seed gives another, equal set.")
    net: str = choice("gcn", NETS, "The network by which it is judged.")
    protocol: GraphProtocol = part(
        lambda: GRAPH_PROTOCOLS["gcond"], "How networks are trained.", names=lambda: GRAPH_PROTOCOLS
    )
    validations: int = number(
        1,
        1,
        1000,
        "How often the set is judged on validation nodes, the best one being kept; 1: the last one is, "
        "and no validation label is used.",
    )
    val_nets: int = number(1, 1, 200, "How many fresh networks judge it.", unit="networks")
    params: GraphParams = part(GraphParams, "Parameters of the method.")

    def __post_init__(self) -> None:
        kind = graph_method(self.method).params
        if isinstance(self.params, dict):
            object.__setattr__(self, "params", kind.from_dict(self.params))
        elif type(self.params) is GraphParams:
            object.__setattr__(self, "params", kind())
        super().__post_init__()

    def title(self) -> str:
        """Line for lists."""
        name = self.data.title_of_graph()
        return f"{graph_method(self.method).title} on {name}, {100 * self.ratio:g} % of its labelled nodes"

    def follow_ups(self) -> list[TaskSpec]:
        """The run's own evaluation beside its baselines."""
        evaluate: Any = task_class(
            "graph_evaluate"
        )  # by its kind, since its spec holds one of these
        own = {"protocol": self.protocol, "nets": self.protocol.nets, "archs": (self.net,)}
        return [evaluate(of_run=self, **own)]


def make_graph_run(
    method_name: str,
    data: GraphData,
    *,
    ratio: float = 0.5,
    seed: int = 0,
    preset: str = "quick",
    settings: Iterable[tuple[str, str]] = (),
) -> GraphRun:
    """The run that a preset describes, with single fields set from (field, text) pairs.

    A method's own parameters need no `params.` before them.
    """
    known = graph_method(method_name).presets
    if preset not in known:
        raise SpecError("preset", preset, "one of " + ", ".join(known))
    spec = GraphRun(method=method_name, data=data, ratio=ratio, seed=seed, **known[preset])
    for path, text in settings:
        spec = _set(spec, path, text)
    return spec


def _set(spec: GraphRun, path: str, text: str) -> GraphRun:
    own = {f.name for f in fields(spec.params)}
    if path in own:
        value = parse_text(path, text, field_types(type(spec.params))[path])
        return spec.replace(params=spec.params.replace(**{path: value}))
    if path == "protocol":
        return spec.replace(protocol=graph_protocol(text))
    head = path.split(".")[0]
    if head not in {f.name for f in fields(spec)}:
        names = {f.name for f in fields(spec)} | own
        raise SpecError(path, text, "one of the fields " + ", ".join(sorted(names - {"params"})))
    changed = with_setting(spec, path, text)
    assert isinstance(changed, GraphRun)
    return changed
