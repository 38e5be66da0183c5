"""Made-up results of every analysis that claims are about, in which the claim is so, or the opposite is.

`MADE[id](sign, nets, seed, runs)` gives (result, arrays): with `sign` +1 the claim holds by far, with -1
its opposite does, by more than the noise.
"""

from __future__ import annotations

import numpy as np

from analysis.shared.effects import CENTRED, RAW
from analysis.suite.agreement.compute import lead, summaries
from analysis.suite.agreement.spec import EARLY, PAIR, SUBSET
from analysis.suite.curvature.spec import REAL
from analysis.suite.dynamics.spec import TEST
from analysis.suite.pixels.spec import REAL as pixels_REAL

METHODS = ("bptt", "dm", "dc", "mtt")
TRAINED = ("bptt", "mtt")
CLASSES = 10
NOISE = 0.004


def runs_of(methods=METHODS) -> list[dict]:
    """One run for each method, with ten images per class."""
    return [
        {"key": f"{i:016x}", "method": m, "label": f"Set {i}", "ipc": 10, "images": 100}
        for i, m in enumerate(methods)
    ]


def common(runs: list[dict]) -> dict:
    """What every result holds."""
    return {
        "data": {"name": "cifar10", "source": "torchvision", "preprocess": "normalise"},
        "data_label": "CIFAR-10",
        "class_names": [str(c) for c in range(CLASSES)],
        "shape": [3, 32, 32],
        "runs": runs,
    }


def strong(run: dict, sign: int) -> bool:
    """Whether a run is on the side that should be higher; sides change with the sign."""
    return (run["method"] in TRAINED) == (sign > 0)


def recognised(sign: int, nets: int, seed: int, runs: list[dict]):
    """Trained-through sets higher than the others."""
    draw = np.random.default_rng(seed)
    kinds = ["ConvNet-3 w16", "ConvNet-3 w128", "ResNet-18 w64", "ResNet-34 w64"]
    level = {r["key"]: 0.9 if strong(r, sign) else 0.6 for r in runs}
    shares = {k: (v + NOISE * draw.normal(size=(4, nets))).tolist() for k, v in level.items()}
    test = (0.8 + NOISE * draw.normal(size=(4, nets))).tolist()
    return {**common(runs), "networks": kinds, "recognised": shares, "test": test}, {}


def residual(sign: int, nets: int, seed: int, runs: list[dict]):
    """Residual networks lower than the others."""
    result, arrays = recognised(1, nets, seed, runs)
    shift = 0.2 * sign * np.array([1, 1, -1, -1])[:, None]
    for key, values in result["recognised"].items():
        result["recognised"][key] = (0.5 * np.array(values) + 0.1 + shift).tolist()
    return result, arrays


def features(high: float, low: float, nets: int, seed: int, runs: list[dict]):
    """Trajectory matching at the first level, the others at the second."""
    draw = np.random.default_rng(seed)
    shares = {
        r["key"]: (
            (high if r["method"] == "mtt" else low) + NOISE * draw.normal(size=nets)
        ).tolist()
        for r in runs
    }
    return {**common(runs), "agreement": shares, "test": [0.9] * nets}, {}


def outside(sign: int, nets: int, seed: int, runs: list[dict]):
    """Pixels out of range, or none."""
    share = 0.2 if sign > 0 else 0.0
    facts = {r["key"]: [{"outside": share, "min": -share, "max": 1 + share}] for r in runs}
    facts[pixels_REAL] = [{"outside": 0.0, "min": 0.0, "max": 1.0}]
    return {**common(runs), "sets": facts, "eight_bit": []}, {}


def mixed(curves: dict[str, list[float]], nets: int, seed: int, runs: list[dict]):
    """Accuracy of trained-through sets, of the others, and of random images at 0, 2, 10 and 250."""
    draw = np.random.default_rng(seed)
    side = {r["key"]: "strong" if r["method"] in TRAINED else "weak" for r in runs}
    sources = [{k: r[k] for k in ("key", "method", "label", "ipc")} for r in runs]
    sources.append({"key": "random.10", "method": "", "label": "Random real images", "ipc": 10})
    level = np.array([curves[side.get(s["key"], "random")] for s in sources])[..., None]
    accuracy = level + NOISE * draw.normal(size=(*level.shape[:2], nets))
    return {
        **common(runs),
        "sources": sources,
        "accuracy": accuracy.tolist(),
        "added": [0, 2, 10, 250],
    }, {}


def rises(sign, nets, seed, runs):
    """Random images rise, or fall."""
    own = [0.3, 0.4, 0.5, 0.6][::sign]
    return mixed({"strong": [0.5] * 4, "weak": [0.5] * 4, "random": own}, nets, seed, runs)


def dips(sign, nets, seed, runs):
    """Trained-through sets lose, or gain, by ten real images."""
    own = [0.5, 0.5, 0.5 - 0.2 * sign, 0.6]
    flat = [0.3, 0.4, 0.45, 0.6]
    return mixed({"strong": own, "weak": flat, "random": flat}, nets, seed, runs)


def meets(sign, nets, seed, runs):
    """All at one level in the end, or far apart."""
    end = 0.6 if sign > 0 else 0.7
    own = [0.5, 0.5, 0.5, end]
    return mixed({"strong": own, "weak": own, "random": [0.3, 0.4, 0.5, 0.6]}, nets, seed, runs)


def agrees(sign: int, nets: int, seed: int, runs: list[dict]):
    """Early-stopped networks agree more, or less; by the analysis's own summaries."""
    draw = np.random.default_rng(seed)
    sets = {}
    for run in runs:
        pairs = {}
        for pool in (EARLY, SUBSET):
            net, other = (a.ravel() for a in np.indices((nets, nets)))
            rows = np.full((len(net), len(PAIR)), 0.5)
            rows[:, 0], rows[:, 1] = net, other
            level = 0.6 + 0.1 * sign * (pool == EARLY)
            rows[:, PAIR.index("agreement")] = level + NOISE * draw.normal(size=len(net))
            pairs[pool] = rows
        sets[run["key"]] = {"accuracy": [0.5] * nets, **summaries(pairs), "lead": lead(pairs)}
    networks = {EARLY: nets, SUBSET: nets}
    return {**common(runs), "sets": sets, "networks": networks}, {}


def learnt(levels: dict[str, tuple[float, float]], nets: int, seed: int, runs: list[dict]):
    """Accuracies that rise to a first level until iteration 120 and to a second until 300."""
    draw, steps = np.random.default_rng(seed), np.arange(0, 301, 10)
    arrays = {"steps": steps}
    for key in [*(r["key"] for r in runs), TEST]:
        method = next((r["method"] for r in runs if r["key"] == key), TEST)
        first, last = levels[
            "strong" if method in TRAINED else method if method == TEST else "weak"
        ]
        mean = np.interp(steps, [0, 120, 150, 285, 300], [0.1, first, first, last, last])
        noise = NOISE * (draw.normal(size=(nets, 1)) + draw.normal(size=(nets, len(steps))))
        noise = noise * (mean < 1)  # the ceiling has none
        arrays[f"accuracy.{key}"] = np.clip(mean + noise, 0, 1).astype(np.float32)
    return {**common(runs), "nets": nets}, arrays


def above_test(sign, nets, seed, runs):
    """Sets above test images, or below."""
    own = 0.7 + 0.1 * sign
    return learnt({"strong": (own, own), "weak": (own, own), TEST: (0.7, 0.75)}, nets, seed, runs)


def full(sign, nets, seed, runs):
    """Trained-through sets reach 100 %, or do not."""
    own = (1.0, 1.0) if sign > 0 else (0.8, 0.8)
    return learnt({"strong": own, "weak": (0.7, 0.7), TEST: (0.6, 0.65)}, nets, seed, runs)


def never_full(sign, nets, seed, runs):
    """The matched sets stay below 100 %, or do not."""
    own = (0.7, 0.7) if sign > 0 else (0.7, 1.0)
    return learnt({"strong": (1.0, 1.0), "weak": own, TEST: (0.6, 0.65)}, nets, seed, runs)


def plateau(sign, nets, seed, runs):
    """Sets flat from 150 on, or rising; the trained-through ones at the ceiling."""
    own = (0.7, 0.7) if sign > 0 else (0.7, 0.8)
    return learnt({"strong": (1.0, 1.0), "weak": own, TEST: (0.6, 0.65)}, nets, seed, runs)


def traced(peak: float, ends: dict[str, float], nets: int, seed: int, runs: list[dict]):
    """Traces that rise to a peak at 90 and fall to an end; real ones to 100 and 50."""
    draw, steps = np.random.default_rng(seed), np.arange(0, 301, 30)
    arrays = {"steps": steps}
    for key in [*(r["key"] for r in runs), REAL]:
        method = next((r["method"] for r in runs if r["key"] == key), REAL)
        end = 50.0 if method == REAL else ends["strong" if method in TRAINED else "weak"]
        top = 100.0 if method == REAL else peak
        mean = np.interp(steps, [0, 90, 180, 300], [0.0, top, end, end])
        noise = draw.normal(size=(nets, 1, 1)) + 0.1 * draw.normal(size=(nets, len(steps), 5))
        arrays[f"samples.{key}"] = mean[None, :, None] + noise
    return {**common(runs), "nets": nets, "every": 30, "last": 300, "probes": 5}, arrays


def peaks(sign, nets, seed, runs):
    """Higher peaks than the real one, or lower."""
    return traced(100 + 40 * sign, {"strong": 20.0, "weak": 70.0}, nets, seed, runs)


def ends(sign, nets, seed, runs):
    """Trained-through sets below real and the others above, or the other way round."""
    return traced(150, {"strong": 50 - 30 * sign, "weak": 50 + 30 * sign}, nets, seed, runs)


def helped(sign: int, nets: int, seed: int, runs: list[dict]):
    """Most helped test images of the image's class, or of others."""
    share = 0.9 if sign > 0 else 0.2
    labels = np.repeat(np.arange(CLASSES), 10).tolist()
    facts = {r["key"]: {"labels": labels, "same_class": {RAW: share, CENTRED: share}} for r in runs}
    return {**common(runs), "sets": facts, "inits": nets}, {}


def meaning(sign: int, nets: int, seed: int, runs: list[dict]):
    """Discoveries in every class where random images give few, or none where they give many."""
    result, arrays = helped(1, nets, seed, runs)
    for run in runs:
        view = {"share": 0.5 if sign > 0 else 0.0, "control": 0.01 if sign > 0 else 0.3}
        result["sets"][run["key"]] |= {RAW: view, CENTRED: view}
        found = np.zeros((100, 4), bool)
        found[::2, 0] = sign > 0
        arrays[f"found.{CENTRED}.{run['key']}"] = found
    return result, arrays


def sensitive(sign: int, nets: int, seed: int, runs: list[dict]):
    """Changes cost the sets more than random images, or less."""
    draw = np.random.default_rng(seed)
    result, _ = mixed(
        {"strong": [0.5] * 4, "weak": [0.5] * 4, "random": [0.5] * 4}, nets, seed, runs
    )
    loss = np.array([0.1 * sign] * len(runs) + [0.0])[:, None, None]
    levels = [{"factor": "", "name": "as it is"}, *({"factor": "loss", "name": n} for n in "ab")]
    base = 0.6 + NOISE * draw.normal(size=(len(runs) + 1, 3, nets))
    base[:, 1:] -= 0.1 + loss
    return {**result, "levels": levels, "accuracy": base.tolist(), "nets": nets}, {}


def transferred(sign: int, nets: int, seed: int, runs: list[dict]):
    """Gains at home larger than elsewhere, or smaller."""
    draw = np.random.default_rng(seed)
    kinds = {"convnet": 0.1, "mlp": 0.1 - 0.08 * sign, "resnet18": 0.1 - 0.08 * sign}
    networks = [{"name": f, "family": f, "width": 8, "plain": f == "convnet"} for f in kinds]
    gain = np.array([list(kinds.values())] * len(runs) + [[0.0] * 3])[..., None]
    sources = [
        {"kind": "set", **{k: r[k] for k in ("key", "method", "label", "ipc")}} for r in runs
    ]
    sources.append({"kind": "random", "key": "random.10", "method": "", "label": "r", "ipc": 10})
    accuracy = 0.5 + gain + NOISE * draw.normal(size=(len(runs) + 1, 3, nets))
    return {
        **common(runs),
        "sources": sources,
        "networks": networks,
        "home": {r["key"]: 0 for r in runs},
        "architectures": [0, 1, 2],
        "accuracy": accuracy.tolist(),
        "nets": nets,
    }, {}


MADE = {
    "recognition.roles": recognised,
    "recognition.residual": residual,
    "features.own_class": lambda sign, *a: features(*((0.9, 0.8) if sign > 0 else (0.3, 0.2)), *a),
    "features.mtt": lambda sign, *a: features(*((0.9, 0.7)[::sign]), *a),
    "pixels.outside": outside,
    "mixing.rises": rises,
    "mixing.dip": dips,
    "mixing.not_alike": dips,
    "mixing.meet": meets,
    "agreement.early": agrees,
    "dynamics.above_test": above_test,
    "dynamics.full": full,
    "dynamics.never_full": never_full,
    "dynamics.plateau": plateau,
    "curvature.peak": peaks,
    "curvature.below": ends,
    "curvature.above": ends,
    "influence.same_class": helped,
    "semantics.beyond": meaning,
    "sensitivity.loses_more": sensitive,
    "transfer.gains_less": transferred,
}
