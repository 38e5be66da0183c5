"""The learnable set: a parametrization's images and their labels, as methods see them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ddcore.base.placing import placed
from ddcore.distil.decoder import Decoder, View


class Synthetic:
    """Images from a decoder with hard, soft (fixed) or learned labels.

    A method decodes once per iteration (`leaves`), differentiates its loss with respect to what it got,
    and hands these derivatives back (`pull`), which puts gradients on the stored tensors. In between it
    uses the images through views (`draw`, `take`), so minibatches and random crops are one thing.

    classes (M,) int64 on the device. labels: None for hard ones, else start values (M, K), learned if
    `learn`. Learned labels stay non-negative and are used normalised to sum 1, unless they are `free`:
    targets of regression, which may be any numbers; or `logits`, whose softmax is used.
    """

    def __init__(
        self,
        decoder: Decoder,
        device: torch.device,
        labels: Tensor | None,
        learn: bool,
        *,
        free: bool = False,
        logits: bool = False,
    ) -> None:
        self.decoder = decoder
        self.classes = decoder.labels.to(device)
        self.device = device
        self.raw = None if labels is None else labels.to(device).clone()
        self.free, self.logits = free, logits
        self.learned: dict[str, Tensor] = {}  # the labels, if they are
        if learn and self.raw is not None:
            self.learned["labels"] = self.raw.requires_grad_()

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def learn(self) -> bool:
        """Whether labels are learned."""
        return bool(self.learned)

    # --- what is learned ------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Learnable tensors by name."""
        return {**self.decoder.tensors(), **self.learned}

    def groups(self, lr: float, label_lr: float) -> list[dict]:
        """Parameter groups for the outer optimiser."""
        groups = [{"params": list(self.decoder.tensors().values()), "lr": lr}]
        labels = [{"params": list(self.learned.values()), "lr": label_lr}] if self.learned else []
        return groups + labels

    def project(self) -> None:
        """After an outer step: labels non-negative, and whatever the decoder asks for."""
        if not (self.free or self.logits):
            with torch.no_grad():
                for labels in self.learned.values():
                    labels.clamp_(min=0)
        self.decoder.project()

    # --- one iteration --------------------------------------------------------------------------

    def leaves(self, fresh: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """Decoded images and, unless labels are hard, label distributions (M, K); with their graph.

        `fresh` draws what a decoder that knows chance makes its images of; others ignore it.
        """
        images = self.decoder.decode() if fresh is None else self.decoder.fresh(fresh)
        if self.raw is None:
            return (images,)
        if self.free:
            return images, self.raw
        if self.logits:
            return images, self.raw.softmax(1)
        return images, self.raw / self.raw.sum(1, keepdim=True).clamp(min=1e-8)

    def pull(self, leaves: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Put the gradients of the stored tensors into `.grad`, given those of the leaves."""
        tensors = list(self.tensors().values())
        pairs = [(x, g) for x, g in zip(leaves, gradients) if x.requires_grad]
        found = torch.autograd.grad(
            [x for x, _ in pairs], tensors, [g for _, g in pairs], allow_unused=True
        )
        for tensor, gradient in zip(tensors, found):
            tensor.grad = torch.zeros_like(tensor) if gradient is None else gradient

    def draw(self, generator: torch.Generator, per_class: int = 0) -> View:
        """A use of all images (0), or of `per_class` distinct random ones of each class."""
        index = None
        if per_class:
            rows = torch.rand(len(self.by_class), self.by_class.shape[1], generator=generator)
            chosen = rows.argsort(1)[:, :per_class]
            index = placed(self.by_class.gather(1, chosen).flatten(), self.device)
        return self.decoder.draw(index, generator)

    def take(self, leaves: Sequence[Tensor], view: View) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) and targets, (B,) int64 or (B, K), of a view."""
        images = self.decoder.take(leaves[0], view)
        members = self.decoder.members(view)
        targets = self.classes if self.raw is None else leaves[1]
        return images, targets if members is None else targets[members]

    def classes_of(self, view: View) -> Tensor:
        """(B,) int64 classes of a view's images."""
        members = self.decoder.members(view)
        return self.classes if members is None else self.classes[members]

    def rows_of(self, view: View) -> Tensor:
        """As `classes_of`, on the CPU if a GPU need not be awaited for it."""
        members = self.decoder.members(view)
        return self.decoder.labels if members is None else self.classes[members]

    @property
    def by_class(self) -> Tensor:
        """(K, M / K) indices of each class's images, on the CPU."""
        order = self.decoder.labels.argsort(stable=True)
        return order.view(int(self.decoder.labels.max()) + 1, -1)

    def final(self) -> tuple[Tensor, Tensor]:
        """Images and targets as the artefact holds them."""
        with torch.no_grad():
            return self.take(self.leaves(), self.decoder.final())
