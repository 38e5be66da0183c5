"""A set of synthetic images that knows how to be used.

made = DistilledSet.from_task(task)      # or ddcore.sets.exports.load("set.safetensors")
trained = made.train()
classes = trained.predict(images)        # preprocessed like the set: made.preprocess.forward(...)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ddcore.base import rng
from ddcore.nets.architectures import NetSpec
from ddcore.sets.artefact import Artefact

if TYPE_CHECKING:
    from ddcore.nets.network import Weights
    from ddcore.training.trained import Trained

KINDS = ("distill", "import")  # of tasks that leave a set: runs, and sets opened from files


class DistilledSet(Artefact):
    """What a run leaves behind, and networks trained on it."""

    def train(
        self,
        net: NetSpec | None = None,
        *,
        seed: int = 0,
        nets: int = 1,
        device: str = "cpu",
        weights: Weights | None = None,
    ) -> Trained:
        """Train `nets` fresh networks on the set, the way it is meant to be used.

        A set made for networks trained on other data needs their stacked `weights`, as
        `ddcore.pools.networks.load` gives them (`params`), and raises `DataError` without. `predict(images)`
        of what is returned gives (nets, B) classes of preprocessed images; `module` is the first network
        as an ordinary `torch.nn.Module`.
        """
        from ddcore.sets.use import Use

        use = Use(self, self.protocol, net or self.net)
        seeds = [rng.derive(seed, "net", i) for i in range(nets)]
        return use.train(*use.arrays(device), seeds, weights)
