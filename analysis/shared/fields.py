"""Fields that several analyses have, declared once: what is trained for them, and how."""

from __future__ import annotations

from typing import Any

from ddcore.base.fields import choice, number, text
from ddcore.nets import words

WORD = "An architecture and its width, such as convnet-16."
PRECISIONS = {"single": 1, "double": 2}  # work of an operation


def network(help: str = "What is trained.") -> Any:
    """A network as a word."""
    return text("convnet-16", f"{help} {WORD}", grammar=words.parse)


def nets(default: int = 3, help: str = "How many are trained.") -> Any:
    """How many networks."""
    return number(default, 1, 100, help, unit="networks")


def iterations(
    default: int = 300, help: str = "Steps of training, with all images at once."
) -> Any:
    """Length of training."""
    return number(default, 1, 100_000, help)


def every(default: int, help: str) -> Any:
    """How often something is looked at during training."""
    return number(default, 1, 100_000, help, unit="iterations")


def lr(default: float = 0.01, help: str = "Step size of sgd with momentum 0.9.") -> Any:
    """Step size of training."""
    return number(default, 1e-8, 1e3, help)


def batch(low: int = 1) -> Any:
    """Images per step of training on real images."""
    help = "Images per step of training on real images"
    return number(
        64, low, 1_000_000, f"{help}; 0: all at once." if not low else f"{help}.", unit="images"
    )


def epochs() -> Any:
    """Length of training on all real images."""
    return number(0, 0, 10_000, "Epochs on all real images; 0: chosen by their number.")


def inits(default: int = 3) -> Any:
    """Shared starts of retraining."""
    return number(default, 1, 100, "Initialisations that all sets share.")


def precision() -> Any:
    """Of retraining."""
    return choice("single", PRECISIONS, "Numbers of this precision in training.")


def more() -> Any:
    """Real images beyond the size of the sets."""
    return number(
        50,
        0,
        100_000,
        "Random real images of a larger set, which pass every accuracy while they are learned; 0: none.",
        unit="images per class",
    )


def looks() -> Any:
    """How often networks are looked at along training."""
    return number(9, 2, 1000, "How often networks are looked at along training.")
