"""The task `curvature`: from sets and pools to a result and arrays."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analysis.contract import Arrays
from analysis.suite.curvature.maths import courses
from analysis.suite.curvature.result import CurvatureFound, Traces
from analysis.suite.curvature.spec import PRODUCT, REAL, CurvatureTask, products
from analysis.task import Opened, opened, same_size, save
from ddcore.base.errors import DDError
from ddcore.nets.plan import Shape
from ddcore.nets.plan import cost as net_cost
from ddcore.nets.words import network

if TYPE_CHECKING:
    from analysis.shared.hessian import LabelledImages
    from ddcore.data.tensors import DeviceData
    from ddcore.nets.architectures import NetSpec
    from ddcore.nets.network import Weights
    from ddcore.tasks.worker import Context
    from ddcore.training.trained import TrainedNets


def run(context: Context[CurvatureTask]) -> None:
    """Task `curvature`: train on real data, and along the way measure the loss on every set."""
    from analysis.shared.hessian import AGREED
    from ddcore.base import rng
    from ddcore.data.tensors import DeviceData
    from ddcore.nets.network import Network
    from ddcore.pools.real import train_real
    from ddcore.training.chunks import limit_threads

    spec = context.spec
    given = opened(context)
    data = DeviceData(given.dataset, context.device)
    net = network("network", spec.network, given.chosen.shape, given.chosen.classes)
    limit_threads(Network(net, data.shape, data.num_classes), context.device)
    sets = _sources(given, spec, data)
    job = _Measuring(context, net, data.shape, data.num_classes, sets)
    for i in range(spec.nets):
        if job.finished(i):
            continue
        train_real(  # a resumed task trains again, which is quick and gives the same weights
            net,
            data.train,
            data.num_classes,
            [rng.derive(spec.seed, "curvature", i)],
            iterations=spec.iterations,
            batch=spec.batch,
            lr=spec.lr,
            on_iteration=partial(job.look, i),
        )
    arrays = job.arrays | {
        "steps": spec.moments(),
        "spectra": spec.moments()[spec.spectrum_places()],
    }
    measured = courses(arrays, spec.every)
    found = CurvatureFound(
        sets={key: Traces(images=len(sets[key]), **measured[key]) for key in measured},
        nets=spec.nets,
        probes=spec.probes,
        every=spec.every,
        last=spec.iterations,
        spectra=arrays["spectra"].tolist(),
        network=net.label(),
        parameters=job.size,
        all_real=not spec.real_images,
        agreed=AGREED,
        asymmetry=max(float(arrays[f"asymmetry.{k}"].max()) for k in sets),
        soft=tuple(k for k, s in given.sets.items() if s.soft),
    )
    save(context, given, found, arrays)


def _sources(given: Opened, spec: CurvatureTask, data: DeviceData) -> dict[str, LabelledImages]:
    """What the loss is measured on: each set by its run's key, and `REAL`."""
    import torch

    from analysis.shared.hessian import Images

    sets: dict[str, LabelledImages] = {}
    for key, made in given.sets.items():
        pair = (torch.from_numpy(a).to(data.device) for a in (made.images, made.hard_labels))
        sets[key] = Images(*pair)
    sets[REAL] = data.train
    if spec.real_images:
        few = same_size(given, spec.seed, ipc=spec.real_images // given.chosen.classes)
        rows = torch.from_numpy(few)
        sets[REAL] = Images(data.train.batch(rows), data.train.labels[rows.to(data.device)])
    return sets


class _Measuring:
    """Measures every set at the moments of each network's training, and keeps what it found."""

    def __init__(
        self,
        context: Context[CurvatureTask],
        net: NetSpec,
        shape: Shape,
        classes: int,
        sets: dict[str, LabelledImages],
    ) -> None:
        from ddcore.nets.network import Network

        self.context, self.sets = context, sets
        self.spec = context.spec
        self.network = Network(net, shape, classes, fused_norm=False)
        self.size = net_cost(self.network.plan, shape).parameters
        self.moments = self.spec.moments().tolist()
        self.places = self.spec.spectrum_places().tolist()
        self.one = products(self.spec, [len(s) for s in sets.values()]) / 1000  # of progress
        self.one += len(self.moments) * sum(len(s) for s in sets.values()) / 1000  # Fisher traces
        self.seen = 0.0
        resumed = context.load_checkpoint()
        self.arrays, meta = resumed or (self._empty(), {"done": 0})
        self.done: int = meta["done"]
        for place in range(self.done):
            self.seen += self._work(place % len(self.moments))

    def _empty(self) -> Arrays:
        spec, moments = self.spec, len(self.moments)
        nodes = (spec.nets, spec.spectra, spec.starts, min(spec.steps, self.size))
        top = (spec.nets, spec.spectra, min(spec.top, self.size))
        shapes = {
            "samples": (spec.nets, moments, spec.probes),
            "fisher": (spec.nets, moments),
            "asymmetry": (spec.nets, moments),
            "nodes": nodes,
            "weights": nodes,
            "top": top,
            "bounds": top,
            "lowest": (spec.nets, spec.spectra),
        }
        return {f"{name}.{k}": np.zeros(s) for name, s in shapes.items() for k in self.sets}

    def _work(self, place: int) -> float:
        spec = self.spec
        each = spec.probes + 1 + spec.starts * spec.steps * self.places.count(place)
        return float(each * sum(len(s) for s in self.sets.values()))

    def macs(self, source: LabelledImages) -> float:
        """Multiply-adds of all products of one source."""
        one = net_cost(self.network.plan, self.network.shape).macs
        return PRODUCT * self.spec.nets * products(self.spec, [len(source)]) * one

    def finished(self, net: int) -> bool:
        """Whether all moments of a network are known."""
        return self.done >= (net + 1) * len(self.moments)

    def look(self, net: int, t: int, nets: TrainedNets) -> None:
        """Measure the network as it is after `t` iterations, if that is a moment not yet known."""
        self.context.check_cancel()
        place, rest = divmod(t, self.spec.every)
        number = net * len(self.moments) + place
        if rest or number < self.done:
            return
        for key, source in self.sets.items():
            self._measure(key, source, net, place, nets.params, nets.stats)
        self.done = number + 1
        if self.context.checkpoint_due():
            self.context.save_checkpoint(self.done, self.arrays, {"done": self.done})

    def _measure(
        self,
        key: str,
        source: LabelledImages,
        net: int,
        place: int,
        weights: Weights,
        stats: Weights,
    ) -> None:
        from analysis.shared import hessian

        spec = self.spec
        weights = {name: w.detach().clone() for name, w in weights.items()}
        loss = hessian.MeanLoss(self.network, weights, source, stats, self._tick, self.macs(source))
        trace = hessian.trace(loss, spec.probes, spec.seed)
        t = self.moments[place]
        if not np.isfinite(trace.value):
            raise DDError(
                f"The loss is not finite after {t} iterations: choose a smaller step size."
            )
        if trace.asymmetry > hessian.ASYMMETRY:
            raise DDError(
                f"The Hessian after {t} iterations is not symmetric: {trace.asymmetry:.1e}."
            )
        found = {
            "samples": trace.samples.numpy(),
            "fisher": hessian.fisher_trace(loss),
            "asymmetry": trace.asymmetry,
        }
        for name, values in found.items():
            self.arrays[f"{name}.{key}"][net, place] = values
        if place not in self.places:
            return
        spectrum = hessian.spectrum(loss, spec.starts, spec.steps, spec.seed)
        top, bounds = spectrum.top(spec.top)
        found = {
            "nodes": spectrum.nodes.numpy(),
            "weights": spectrum.weights.numpy(),
            "top": top.numpy(),
            "bounds": bounds.numpy(),
            "lowest": spectrum.lowest()[0],
        }
        for name, values in found.items():
            self.arrays[f"{name}.{key}"][net, self.places.index(place)] = values

    def _tick(self, images: int) -> None:
        self.seen += images
        total = round(self.one * self.spec.nets)
        self.context.progress(min(round(self.seen / 1000), total), total)
