"""Meta-learning: images, labels and step sizes such that training on them does well on real data.

The loss on real data after training on the set is differentiated through that training. Which initial
weights, which batches, which update rule and what is asked of the trained network are all choices
(`Inner`, `Outer`, `Starts`), so Wang et al. 2018, BPTT, its bases, RaT-BPTT and generative teaching
networks are the same loop.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from ddcore.base.placing import placed
from ddcore.distil.decoder import View
from ddcore.distil.engines.rules import GradientDescent, Rule
from ddcore.distil.engines.unroll import (
    OuterLoss,
    SetLoss,
    WeightTuple,
    meta_gradient,
    run,
    set_steps,
)
from ddcore.distil.problem import Current, Distiller, Problem, to_numpy
from ddcore.nets.network import Weights, select
from ddcore.nets.plan import cost
from ddcore.training import augment
from ddcore.training.losses import cross_entropy

# Activations per graph of the real batch: beyond it they leave the CPU's cache, and LeNet on 1024
# images takes 2 to 4 times as long at once as in parts of 128 (measured). A GPU is bounded by memory.
CPU_FLOATS, GPU_FLOATS = 2_000_000, 1 << 30

Starts = Callable[[int], Weights]  # iteration -> stacked initial weights


@dataclass(frozen=True, kw_only=True)
class Inner:
    """Training on the set.

    `steps` updates by `rule`. With `batch` 0 the set is used in its own order, part t mod (the set's own
    steps) in update t; else every update draws `batch` images of each class. `lr` is a constant unless
    `learned` says "step" (one step size per update) or "shared" (one for all). `learn_momentum` learns
    the rule's momentum too. Of a `window` > 0 only that many updates, beginning at a random one, are
    differentiated, and training ends with them (RaT-BPTT). `shuffle` takes the set's parts in a random
    order in each pass; `fresh` has a generator make images of new noise in each iteration.
    """

    steps: int
    lr: float
    rule: Rule = field(default_factory=GradientDescent)
    batch: int = 0
    learned: str = ""
    learn_momentum: bool = False
    window: int = 0
    shuffle: bool = False
    fresh: bool = False


@dataclass(frozen=True, kw_only=True)
class Outer:
    """What is asked of a trained network, and how the set follows.

    `real_batch` images: of shuffled passes over the training data, or with `balanced` that many of each
    class. `augment`: one draw per iteration, applied to all real and synthetic images alike
    (`siamese`), or to each image its own. `relabel` (a, b): real images of class a count as b.
    `intermediate`: the loss after every update counts, not only after the last.
    `clip` bounds the norm of the images' gradient (0: no bound); with `clip_ema` the bound is `clip`
    times the moving average of the norm. Step sizes fall by steps (`decay`, `decay_every`), or along
    half a cosine to the share `cosine` of what they were.
    """

    real_batch: int
    lr: float
    lr_rates: float = 0.0
    optimiser: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.0
    balanced: bool = False
    augment: str = ""
    siamese: bool = True
    relabel: tuple[int, int] | None = None
    intermediate: bool = False
    clip: float = 0.0
    clip_ema: float = 0.0
    decay: float = 1.0
    decay_every: int = 0
    cosine: float = 0.0


def fresh(problem: Problem, nets: int) -> Starts:
    """New initial weights in every iteration."""
    network = problem.network(nets)
    return lambda iteration: network.init(problem.generator("net", iteration), problem.device)


def fixed(problem: Problem) -> Starts:
    """One known initialisation for ever."""
    weights = problem.network(1).init(problem.generator("theta0"), problem.device)
    return lambda iteration: weights


def sampled(problem: Problem, weights: Weights, nets: int) -> Starts:
    """`nets` of these networks (stacked weights), drawn anew in every iteration, no two the same."""
    count = len(next(iter(weights.values())))

    def draw(iteration: int) -> Weights:
        order = torch.randperm(count, generator=problem.generator("bank", iteration))
        return select(weights, order[:nets])

    return draw


class MetaLearning(Distiller):
    """The exact meta-gradient of the mean loss over `nets` networks, at the memory of one update.

    Learned step sizes stay positive: eta = softplus(raw); a learned momentum stays in (0, 1).
    `known`: the initial weights belong to the set, since it is made for them alone.
    """

    def __init__(
        self,
        problem: Problem,
        inner: Inner,
        outer: Outer,
        starts: Starts,
        nets: int = 1,
        *,
        known: bool = False,
    ) -> None:
        super().__init__(problem)
        self.inner, self.outer, self.starts, self.nets = inner, outer, starts, nets
        self.known = starts(0) if known else {}
        self.network = problem.network(nets)
        per_image = nets * cost(self.network.plan, self.network.shape).activations
        self.part = max(1, (CPU_FLOATS if problem.on_cpu else GPU_FLOATS) // per_image)
        seen = (inner.batch * problem.classes) or len(self.synthetic) / problem.spec.steps
        seen *= problem.spec.params.iterations * inner.steps
        self.steps = set_steps(self.network, seen)
        self.rates = self._rates()
        self.norm = torch.zeros((), device=problem.device)  # moving average, for `clip_ema`
        self._epoch: tuple[int, Tensor] | None = None
        groups = self.synthetic.groups(outer.lr, problem.spec.label_lr)
        if self.rates:
            groups.append({"params": list(self.rates.values()), "lr": outer.lr_rates})
        self.optimiser = (
            torch.optim.Adam(groups, betas=outer.betas)
            if outer.optimiser == "adam"
            else torch.optim.SGD(groups, momentum=outer.momentum)
        )

    def _rates(self) -> dict[str, Tensor]:
        """Raw learned step sizes (T,) or () and momentum (), by name."""
        found = {}
        if self.inner.learned:
            size = (self.inner.steps,) if self.inner.learned == "step" else ()
            found["raw"] = torch.full(size, math.log(math.expm1(self.inner.lr)))
        if self.inner.learn_momentum:
            m = _momentum(self.inner.rule)
            found["raw_momentum"] = torch.tensor(math.log(m / (1 - m)))
        return {k: v.to(self.problem.device).requires_grad_() for k, v in found.items()}

    def tensors(self) -> dict[str, Tensor]:
        """The set's tensors and raw step sizes."""
        return {**super().tensors(), **self.rates}

    def buffers(self) -> dict[str, Tensor]:
        """The moving average that bounds the gradient, where there is one."""
        return {"norm": self.norm} if self.outer.clip_ema else {}

    def lr_factor(self, iteration: int) -> float:
        """Half a cosine, or stepwise decay."""
        o = self.outer
        if o.cosine:
            wave = 0.5 * (1 + math.cos(math.pi * iteration / self.problem.spec.params.iterations))
            return o.cosine + (1 - o.cosine) * wave
        return o.decay ** (iteration // o.decay_every) if o.decay_every else 1.0

    # --- one iteration --------------------------------------------------------------------------

    def step(self, iteration: int) -> dict[str, float]:
        """Train from this iteration's weights, look at real data, and differentiate through it all."""
        weights = self.starts(iteration)
        self.names = list(weights)
        steps = self._window(iteration)
        inner = self._inner_loss(iteration, steps)
        outer = self._outer_losses(iteration)
        fresh = self.problem.generator("fresh", iteration) if self.inner.fresh else None
        leaves, hyper = self.synthetic.leaves(fresh), self._hyper()
        state = self.inner.rule.start(tuple(weights.values()))
        state = run(inner, self.inner.rule, state, leaves, hyper, range(steps.start))
        every = _sum_of(outer) if self.outer.intermediate else None
        meta = meta_gradient(
            inner, outer, self.inner.rule, state, leaves, hyper, steps, every=every
        )
        losses = len(steps) if self.outer.intermediate else 1
        share = 1 / (self.nets * losses)
        gradients = [g * share for g in meta.leaves]
        norm = self._clip(gradients)
        self.synthetic.pull(leaves, gradients)
        self._pull_rates(hyper, [g * share for g in meta.hyper])
        # Read together: a GPU is awaited once.
        loss, norm, rate = torch.stack([meta.loss, norm, hyper[0].mean()]).tolist()
        return {"loss": loss * share, "gradient": norm, "step_size": rate}

    def _window(self, iteration: int) -> range:
        """The updates that are differentiated; training stops after them."""
        window = self.inner.window or self.inner.steps
        spare = self.inner.steps - window
        generator = self.problem.generator("window", iteration)
        start = int(torch.randint(spare + 1, (), generator=generator))
        return range(start, start + window)

    def _hyper(self) -> tuple[Tensor, ...]:
        """Step sizes (T,) and, if learned, the momentum (); with their graph."""
        steps, device = self.inner.steps, self.problem.device
        raw = self.rates.get("raw")
        rates = torch.full((steps,), self.inner.lr, device=device)
        if raw is not None:
            rates = F.softplus(raw).expand(steps)
        if "raw_momentum" not in self.rates:
            return (rates,)
        return rates, torch.sigmoid(self.rates["raw_momentum"])

    def _pull_rates(self, hyper: tuple[Tensor, ...], gradients: list[Tensor]) -> None:
        if self.rates:
            pairs = [(h, g) for h, g in zip(hyper, gradients) if h.requires_grad]
            tensors = list(self.rates.values())
            found = torch.autograd.grad([h for h, _ in pairs], tensors, [g for _, g in pairs])
            for tensor, gradient in zip(tensors, found):
                tensor.grad = gradient

    def _clip(self, gradients: list[Tensor]) -> Tensor:
        """Scale the images' and labels' gradients down to the bound; returns their norm before."""
        norm = torch.stack([g.norm() for g in gradients]).norm()
        bound = torch.full_like(norm, self.outer.clip)
        if self.outer.clip_ema:
            ema = self.outer.clip_ema
            self.norm.copy_(torch.where(self.norm > 0, ema * self.norm + (1 - ema) * norm, norm))
            bound = bound * self.norm
        if self.outer.clip:
            for g in gradients:
                g *= bound / norm.clamp(min=bound)
        return norm

    # --- the two losses -------------------------------------------------------------------------

    def _inner_loss(self, iteration: int, steps: range) -> SetLoss:
        """Cross-entropy on update t's synthetic images; everything random is drawn here."""
        generator = self.problem.generator("views", iteration)
        views = [self._view(part, generator) for part in self._parts(steps.stop, generator)]
        strategy = self.outer.augment
        draws = None
        if strategy and self.outer.siamese:
            draws = [self._omega(iteration)] * len(views)
        elif strategy:
            generator = self.problem.generator("augment", iteration)
            counts = [len(self.synthetic.classes_of(v)) for v in views]
            draws = [augment.sample(strategy, n, generator) for n in counts]

        def batch(t: int, leaves: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
            images, targets = self.synthetic.take(leaves, views[t])
            if draws is not None:
                draw = draws[t]
                images = augment.apply(images, _for_all(draw, len(images)))
            return images, targets

        return SetLoss(self.network, self.names, batch, *self.steps)

    def _parts(self, count: int, generator: torch.Generator) -> list[int]:
        """Which part of the set each of `count` updates sees, where it is used in its own order."""
        parts = self.problem.spec.steps
        if not self.inner.shuffle:
            return [t % parts for t in range(count)]
        passes = [torch.randperm(parts, generator=generator) for _ in range(-(-count // parts))]
        return torch.cat(passes).tolist()[:count]

    def _view(self, part: int, generator: torch.Generator) -> View:
        if self.inner.batch:
            return self.synthetic.draw(generator, self.inner.batch)
        parts = self.problem.spec.steps
        if parts == 1:
            return self.synthetic.draw(generator)
        per_step = len(self.synthetic) // parts
        first = part * per_step
        index = torch.arange(first, first + per_step, device=self.synthetic.device)
        return self.synthetic.decoder.draw(index, generator)

    def _outer_losses(self, iteration: int) -> list[OuterLoss]:
        """Cross-entropy on a real batch, in parts whose losses add up to the mean over the batch."""
        images, labels = self._real(iteration)
        if self.outer.relabel:
            source, target = self.outer.relabel
            labels = torch.where(labels == source, target, labels)
        if self.outer.augment:
            if self.outer.siamese:
                draw = _for_all(self._omega(iteration), len(images))
            else:
                generator = self.problem.generator("augment real", iteration)
                draw = augment.sample(self.outer.augment, len(images), generator)
            images = augment.apply(images, draw)

        def part_loss(part: slice) -> OuterLoss:
            x, y = images[part], labels[part]
            share = len(y) / len(labels)  # a part's mean counts by its size
            return lambda theta: share * cross_entropy(self._logits(theta, x), y)

        return [part_loss(slice(i, i + self.part)) for i in range(0, len(labels), self.part)]

    def _logits(self, theta: WeightTuple, images: Tensor) -> Tensor:
        return self.network.logits(dict(zip(self.names, theta)), images)

    def _omega(self, iteration: int) -> augment.Draw:
        """The iteration's one draw of an augmentation."""
        generator = self.problem.generator("augment", iteration)
        return augment.sample(self.outer.augment, 1, generator)

    def _real(self, iteration: int) -> tuple[Tensor, Tensor]:
        """A balanced draw, or batch `iteration` of endless shuffled passes over the training data."""
        data, size = self.problem.data, self.outer.real_batch
        if self.outer.balanced:
            return data.sample_per_class(size, self.problem.generator("real", iteration))
        count = len(data.train)
        size = min(size, count)
        epoch, index = divmod(iteration, count // size)
        if self._epoch is None or self._epoch[0] != epoch:
            generator = self.problem.generator("epoch", epoch)
            self._epoch = (epoch, placed(torch.randperm(count, generator=generator), data.device))
        chosen = self._epoch[1][index * size : (index + 1) * size]
        return data.batch(chosen), data.train.labels[chosen]

    # --- the result -----------------------------------------------------------------------------

    def current(self) -> Current:
        """Images, learned step sizes, and the known weights if they are fixed."""
        now = super().current()
        hyper = self._hyper()
        return Current(
            now.images,
            now.labels,
            to_numpy(hyper[0]) if self.inner.learned else None,
            hyper[1].item() if len(hyper) > 1 else _momentum(self.inner.rule),
            {k: to_numpy(w) for k, w in self.known.items()},
            now.stored,
        )


def _momentum(rule: Rule) -> float:
    return rule.momentum if isinstance(rule, GradientDescent) else 0.0


def _sum_of(losses: list[OuterLoss]) -> OuterLoss:
    return lambda theta: functools.reduce(operator.add, (part(theta) for part in losses))


def _for_all(draw: augment.Draw, count: int) -> augment.Draw:
    """One entry for all images; a draw per image as it is."""
    return draw if len(draw) == count else draw.take(torch.zeros(count, dtype=torch.long))
