"""SeqMatch: Du, Shi & Zhou, "Sequential Subset Matching for Dataset Distillation" (2023).

Trajectory matching of parts of the set, each for a later stretch of training than the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import SpecError
from ddcore.base.fields import number
from ddcore.distil.contract import Method, Work
from ddcore.distil.methods import mtt
from ddcore.distil.methods.mtt import MTTParams
from ddcore.nets.architectures import image_macs
from ddcore.nets.plan import Shape, small

if TYPE_CHECKING:
    from ddcore.distil.contract import DistillSpec
    from ddcore.distil.problem import Distiller, Problem


@dataclass(frozen=True, kw_only=True)
class SeqMatchParams(MTTParams):
    """As mtt, but parts of the set are learned one after the other, each for a later stretch of training."""

    parts: int = number(
        1, 1, 1000, "Parts of the set; `ipc` must be a multiple. Iterations are shared out evenly."
    )

    @property
    def steps(self) -> int:
        """The parts."""
        return self.parts

    def validate(self) -> None:
        """The last part, too, follows an expert."""
        super().validate()
        last = self.epochs - self.parts * self.expert_epochs
        allowed = f"at most {last}: {self.parts} parts follow an expert of {self.epochs} epochs"
        self.require("max_start", self.max_start <= last, allowed)

    def check_with(self, spec: DistillSpec) -> None:
        """Parts are of the same size."""
        super().check_with(spec)
        if spec.ipc % self.parts:
            raise SpecError("parts", self.parts, f"a divisor of ipc = {spec.ipc}")


def build(problem: Problem[DistillSpec[SeqMatchParams]]) -> Distiller:
    """Trajectory matching part by part; trains the experts first if nobody has."""
    from ddcore.distil.engines.sequence_match import SequentialMatching
    from ddcore.pools.trajectory import Trajectories

    spec = problem.spec
    trained = Trajectories(problem.need(mtt.experts(spec)))
    return SequentialMatching(problem, trained, mtt.stretches(spec.params))


def cost(spec: DistillSpec[SeqMatchParams], shape: Shape, classes: int) -> Work:
    """As mtt on the images of a part, and plain training (3 passes) on all parts before it."""
    p = spec.params
    images = classes * spec.images_per_class(shape, classes) // p.parts
    batch = min(p.batch_syn or images, images)
    before = sum(i * p.parts // p.iterations for i in range(p.iterations))
    passes = 12 * p.iterations + 3 * before
    return Work(
        1.0 * passes * p.nets * p.inner_steps * batch * image_macs(spec.net, shape, classes),
        images=3 * p.nets * batch,
        weights=p.nets * (p.inner_steps + 6),
    )


def presets(data: str, shape: Shape, ipc: int, typed: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Those of mtt in as many parts as `ipc` allows, three at most; experts' last epochs are for the last."""
    parts = next(p for p in (3, 2, 1) if ipc % p == 0)
    found = {}
    for name, preset in mtt.presets(data, shape, ipc, typed).items():
        params = preset["params"]
        defaults = SeqMatchParams(**{k: v for k, v in params.items() if k != "iterations"})
        last = max(1, defaults.epochs - parts * defaults.expert_epochs)
        own = {"parts": parts, "max_start": min(defaults.max_start, last)}
        if small(shape) and ipc > 1:
            own["batch_syn"] = 20  # as datm
        found[name] = {**preset, "params": {**params, **own}}
    return found


METHOD = Method(
    name="seqmatch",
    title="Trajectories part by part (SeqMatch)",
    family="trajectory",
    idea="Learn the set in parts, each for a later stretch of training, where the parts before it end.",
    explanation="A set that is learned as a whole tends to hold what networks learn first. Here the first "
    "part should lead where the start of real training leads. Then it is kept as it is: the next part begins "
    "where training on it ends and should lead on from there. So later parts have to hold what is learned "
    "late.",
    paper="Du, Shi & Zhou 2023, Sequential Subset Matching for Dataset Distillation",
    formula=r"\min_{S_k,\alpha_k} \; \mathbb{E}_{\theta^*,t} \; "
    r"\frac{\| \hat\theta_{k} - \theta^*_{t+kM} \|^2}{\| \hat\theta_{k-1} - \theta^*_{t+kM} \|^2}, \quad "
    r"\hat\theta_k = \mathrm{SGD}_{N, \alpha_k}(S_k, \hat\theta_{k-1}), \; \hat\theta_0 = \theta^*_t",
    params=SeqMatchParams,
    build=build,
    cost=cost,
    presets=presets,
    prepares=lambda spec: [mtt.experts(spec)],
    variants={"gradient": tuple(mtt.GRADIENTS)},
    shipped=(({}, (1, 10)),),
    smallest=mtt.METHOD.smallest | {"epochs": "4"},  # of which two parts follow
    one_parametrization=("pixels", "parts that are learned apart share no stored numbers"),
    caveat="The paper trains on one part more at a time; protocols here train on all parts together, unless "
    "an evaluation asks for stages. With one part it is trajectory matching. Its experts are trained first; "
    "estimates of time leave them out.",
)
