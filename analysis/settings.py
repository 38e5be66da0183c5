"""From a preset and settings to a task, and what it will take."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable
from dataclasses import fields

from analysis.contract import ANALYSES, COMPUTED, PRESETS, Analysis, AnalysisTask, Option, answers
from analysis.results import Result
from analysis.runs import Chosen, choose, counts
from ddcore.base.errors import SpecError
from ddcore.base.specs import with_setting
from ddcore.nets.architectures import image_macs
from ddcore.tasks.store import Store
from ddcore.training.estimate import BASE_BYTES, START_S, Estimate, data_bytes
from ddcore.training.speed import speed, usual


def make_spec(
    analysis: Analysis,
    chosen: Chosen,
    preset: str = "quick",
    settings: Iterable[tuple[str, str]] = (),
) -> AnalysisTask:
    """The task that a preset describes for these runs, with single fields set from text."""
    if preset not in PRESETS:
        raise SpecError("preset", preset, "one of " + ", ".join(PRESETS))
    analysis.check(chosen)
    ipc = max(run.ipc for run in chosen.runs)
    values = analysis.presets(chosen.data.name, chosen.shape, ipc)[preset]
    spec = analysis.spec(run_keys=tuple(run.key for run in chosen.runs), **values)
    own = {f.name for f in fields(spec)} - {"run_keys"}
    for path, text in settings:
        if path not in own:
            raise SpecError(path, text, "one of the fields " + ", ".join(sorted(own)))
        spec = typing.cast(AnalysisTask, with_setting(spec, path, text))
    return spec


def known_preset(analysis: Analysis, chosen: Chosen, store: Store) -> str | None:
    """The largest preset under which these runs have been analysed; None if there is none yet."""
    for preset in reversed(PRESETS):
        try:
            if store.task(make_spec(analysis, chosen, preset)).is_done():
                return preset
        except SpecError:  # sets of this size have no answer
            return None
    return None


def preset_of(analysis: Analysis, chosen: Chosen, store: Store, asked: str) -> str:
    """The preset that is asked for; for `COMPUTED` the largest that has been computed, else the smallest."""
    if asked != COMPUTED:
        return asked
    return known_preset(analysis, chosen, store) or next(iter(PRESETS))


def estimate(
    analysis: Analysis, spec: AnalysisTask, chosen: Chosen, store: Store, *, but: Iterable[str] = ()
) -> Estimate:
    """What a task will take, with the pools it still has to train (keys in `but` are not counted)."""
    number = counts(store, chosen.data)
    own = analysis.cost(spec, chosen, number)
    shape, classes = chosen.shape, chosen.classes
    needed = list(analysis.pools(spec, chosen).values())
    nets = [pool.net for pool in needed] or [usual(shape)]
    image = max(image_macs(net, shape, classes) for net in nets)
    rate, basis = speed(store, spec.KIND, own.macs, image)
    seconds, memory, disk = START_S + own.macs / rate, own.memory, own.disk
    for pool in needed:
        if pool.key in but or store.task(pool).is_done():
            continue
        need = pool.cost(chosen.shape, chosen.classes, number)
        image = image_macs(pool.net, shape, classes)
        rate, rests = speed(store, pool.KIND, need.macs, image)
        if need.macs > own.macs:
            basis = rests
        seconds, disk = seconds + need.macs / rate, disk + need.disk
        memory = max(memory, need.memory)
    held = data_bytes(shape, number.train + number.test, number.test)
    return Estimate(seconds, BASE_BYTES + held + memory, disk, basis)


def need_of_analysis(spec: AnalysisTask, store: Store) -> Estimate:
    """`estimate`, for what starts workers elsewhere; `NotReady` before its runs are finished."""
    return estimate(ANALYSES.get(spec.KIND), spec, choose(store, spec.run_keys), store)


def picked(
    analysis: Analysis, result: Result, pick: Callable[[Option], str] | None = None
) -> dict[str, str]:
    """An analysis' options as `pick` chooses them one after the other; without it the usual ones."""
    return answers(analysis.options, result, pick)
