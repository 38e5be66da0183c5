"""CIFAR-10 as far as a processor carries it: the families of Yang et al. 2024, narrower."""

from __future__ import annotations

from ddcore.recipes.base import README, SPLIT, Judged, Published, Recipe, RecipeRow
from ddcore.recipes.cifar10 import PAD, PICTURE

WIDE = "convnet-128"
NETS = 5
# Published for ten images per class: after 300 full-batch steps, and under the method's own protocol.
_T300 = {"dm": 42.7, "dc": 46.0, "bptt": 58.7, "mtt": 53.2}
_OWN = {
    "dm": ("dsa", Published(48.9, PAD)),
    "dc": ("dc", Published(44.9, README)),
    "dsa": ("dsa", Published(52.1, README)),
    "bptt": ("bptt", None),
    "mtt": ("mtt", None),
}
# What is less than published, and what is otherwise.
_LESS = {
    "dm": "5,000 iterations with 128 real images per class instead of 20,000 with 256, and larger steps",
    "dc": "250 networks, trained for 2 epochs at a time, with 64 real images per class, instead of 1,000, "
    "50 and 256; Adam",
    "bptt": "1,000 iterations through 15 steps instead of up to 500,000 through 150; Adam, a learned step "
    "size, no augmentation",
    "mtt": "8 experts of 10 epochs instead of 100 of 50; 1,000 iterations through 20 steps of 50 images "
    "instead of 5,000 through 30 of all; Adam",
}
_LESS["dsa"] = _LESS["dc"]
_LESS_OF_ONE = _LESS | {
    "dc": "64 real images per class instead of 256; 250 networks, each trained in between, instead of 1,000 "
    "that are not; Adam",
    "mtt": "8 experts of 10 epochs instead of 100 of 50; 1,000 iterations through 20 steps instead of 5,000 "
    "through 50; Adam",
}

_LESS_OF_WIDE = {
    "dm": "1,000 iterations with 128 real images per class instead of 20,000 with 256, and larger steps",
    "dc": "20 networks, trained for 2 epochs at a time, with 64 real images per class, instead of 1,000, "
    "50 and 256; Adam",
}


def _row(name: str, ipc: int, *judged: Judged, seed: int = 0) -> RecipeRow:
    """A set that an hour of two cores makes, judged after 300 full-batch steps, too."""
    published = _t300(name) if ipc == 10 else None
    less = (_LESS_OF_ONE if ipc == 1 else _LESS)[name]
    return RecipeRow(
        name=f"cifar10-{name}-{ipc}-hour" + (f"-{seed}" if seed else ""),
        method=name,
        dataset="cifar10",
        ipc=ipc,
        seed=seed,
        preset="hour",
        judged=(Judged("t300", published), *judged),
        differs=f"{SPLIT}; made in a network of width 32 instead of 128; {less}.",
    )


def _t300(name: str) -> Published | None:
    return Published(_T300[name], PICTURE) if name in _T300 else None


def _main(name: str) -> RecipeRow:
    """Ten images per class, in the published width as well, and as the method's own paper trains on them."""
    protocol, own = _OWN[name]
    wide = Judged("t300", _t300(name), net=WIDE, nets=3)
    return _row(name, 10, wide, Judged(protocol, own, nets=NETS))


def _wide(name: str, iterations: int) -> RecipeRow:
    """Fewer steps in a network of the published width, judged once, at the end: validating costs as much."""
    return RecipeRow(
        name=f"cifar10-{name}-10-wide",
        method=name,
        dataset="cifar10",
        ipc=10,
        preset="hour",
        settings={
            "net.width": "128",
            "iterations": str(iterations),
            "validations": "1",
            "val_nets": "1",
        },
        judged=(Judged("t300", _t300(name), nets=3),),
        differs=f"{SPLIT}; {_LESS_OF_WIDE[name]}.",
    )


METHODS = ("dm", "dc", "bptt", "mtt")
FAMILIES = tuple(_main(name) for name in METHODS)
MADE_WIDE = (_wide("dm", 1000), _wide("dc", 200))

RECIPE = Recipe(
    name="cifar10-cpu",
    order=2,
    title="CIFAR-10 on a processor",
    about="Distribution, gradient (with and without augmentation) and trajectory matching, and "
    "backpropagation through time, without whitening: each meant for about an hour of two cores, at a "
    "quarter of the published width and judged at the published one too.",
    machine="cpu",
    rows=(
        *FAMILIES,
        _main("dsa"),
        *(_row(name, 10, seed=1) for name in ("dm", "dc")),
        *(_row(name, 1) for name in METHODS),
        _row("dm", 50),
        *MADE_WIDE,
    ),
)
