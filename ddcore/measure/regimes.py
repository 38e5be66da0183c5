"""Which labels networks learn from when a set is measured: a choice of the evaluation. No torch.

With soft labels random real images can come near distilled ones, so an accuracy says little without its
labels (Qin et al., NeurIPS 2024). All sets of an evaluation are labelled alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from ddcore.base.errors import SpecError
from ddcore.base.fields import REQUIRED, choice, part
from ddcore.base.specs import Spec
from ddcore.data.spec import DataSpec
from ddcore.nets.architectures import NetSpec, image_macs
from ddcore.nets.plan import Shape
from ddcore.nets.published import NETWORKS, parse
from ddcore.pools.real_spec import RealPool
from ddcore.training.protocols import Protocol

HARD, SOFT, ONLINE = "hard", "soft", "online"
REGIMES = {
    HARD: "each image belongs wholly to one class",
    SOFT: "fixed labels: what a teacher says about each image as it is stored",
    ONLINE: "the teacher is asked about every batch as the networks see it, augmented and mixed",
}
TEACHER_NETS = 5  # whose mean prediction makes labels, as those that a run may have of its own
KL_TEMPERATURE = 4.0


@dataclass(frozen=True, kw_only=True)
class LabelRegime(Spec):
    """Labels of all sets of an evaluation; without a regime every set has those it comes with."""

    kind: str = choice(REQUIRED, REGIMES, "Where labels come from.")
    teacher: RealPool | None = part(
        None, "Networks trained on the real data, whose mean prediction is the label."
    )

    def validate(self) -> None:
        """A teacher where one is asked, and only there."""
        taught = self.kind != HARD
        self.require(
            "teacher",
            (self.teacher is not None) == taught,
            "networks that are asked" if taught else "none with hard labels",
        )

    def check(self, protocol: Protocol) -> None:
        """Refuse a protocol that brings its own way of using labels: `SpecError`."""
        if protocol.ordered or protocol.closed_form:
            raise SpecError(
                "labels",
                self.kind,
                f"no choice of labels with protocol {protocol.name}, which uses a set as it was made: take "
                "one that trains networks in minibatches",
            )

    def asking(self, protocol: Protocol, shape: Shape, classes: int, images: int) -> float:
        """Multiply-adds of a teacher while one network is trained on so many images."""
        if self.teacher is None or self.kind != ONLINE:
            return 0.0
        seen = protocol.passes * images * self.teacher.nets
        return seen * image_macs(self.teacher.net, shape, classes)

    def title(self) -> str:
        """In a few words, for lists."""
        if self.teacher is None:
            return "hard labels"
        early = f" ({self.teacher.published})" if self.teacher.published else ""
        early += f" after {self.teacher.epochs} epochs" if self.teacher.epochs else ""
        which = "on every batch" if self.kind == ONLINE else "fixed"
        return f"labels by {self.teacher.net.label()}{early}, {which}"


def regime(
    kind: str, data: DataSpec, net: NetSpec, epochs: int = 0, seed: int = 0, published: str = ""
) -> LabelRegime:
    """The labels of that kind for sets made from `data`; the teacher has this architecture.

    `epochs` stops the teacher early; 0 trains it as long as its data's size asks for. `published` takes one
    from a file instead (`nets.published`).
    """
    if kind not in REGIMES:
        raise SpecError("labels", kind, "one of " + ", ".join(REGIMES))
    if kind == HARD:
        return LabelRegime(kind=HARD)
    if published:
        name, _ = parse("teacher", published)
        pool = RealPool(data=data, net=NETWORKS[name], nets=1, published=published)
        return LabelRegime(kind=kind, teacher=pool)
    return LabelRegime(kind=kind, teacher=teacher_pool(data, net, epochs, seed))


def teacher_pool(data: DataSpec, net: NetSpec, epochs: int = 0, seed: int = 0) -> RealPool:
    """The networks that teach, or whose scores choose real images."""
    return RealPool(data=data, net=net, nets=TEACHER_NETS, epochs=epochs, seed=seed)


def with_loss(
    protocol: Protocol, kind: str, loss: str = "", temperature: float | None = None
) -> Protocol:
    """The protocol with a loss for labels of that kind; "" and None: what is usual for it.

    Usual for a teacher's labels is the protocol's own loss if it is one for them, else the divergence at
    temperature 4; for hard ones it is the protocol's own. Its name says what was changed.
    """
    taught = kind in (SOFT, ONLINE)
    known = protocol.loss in ("kl", "cosine")
    chosen = loss or ("kl" if taught and not known else protocol.loss)
    if temperature is not None and not taught and chosen != "kl":
        raise SpecError("temperature", temperature, "none without loss kl or a teacher's labels")
    if temperature is None:
        temperature = KL_TEMPERATURE if taught and chosen == "kl" else 1.0
        if chosen == protocol.loss == "kl":
            temperature = protocol.temperature
    changed = protocol.replace(loss=chosen, temperature=temperature)
    if changed == protocol:
        return protocol
    at = f" at {temperature:g}" if temperature != 1 else ""
    return changed.replace(name=f"{protocol.name}, {chosen}{at}")
