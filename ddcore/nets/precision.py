"""With how many bits networks compute. No torch here."""

from __future__ import annotations

from typing import Any

from ddcore.base.fields import choice

FLOAT32, BFLOAT16 = "float32", "bfloat16"
PRECISIONS = {
    FLOAT32: "32 bits throughout",
    BFLOAT16: "16 bits within convolutions, 32 in all else (weights, norms, losses, sums); quicker where "
    "the processor has instructions for it, slower where not",
}


def precision(help: str = "With which numbers the networks train.") -> Any:
    """The field of what computes networks."""
    return choice(FLOAT32, PRECISIONS, help, later=True)
