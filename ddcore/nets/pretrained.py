"""AlexNet with ImageNet weights, prepared for other classes as in Wang et al. 2018."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ddcore.base import rng
from ddcore.base.errors import DataError
from ddcore.nets.network import Network, Weights


def alexnet_weights(
    kind: str, network: Network, seed: int = 0, device: str | torch.device = "cpu"
) -> Weights:
    """The same weights for every network of `network`: those of ImageNet, or random ones.

    The last layer's weights are 0 and its biases 1, so all classes start equal and nothing of the old
    ones is left. ImageNet's are torchvision's (IMAGENET1K_V1), fetched once into torch's own cache;
    `DataError` if they cannot be had. Random ones are scaled as in He et al. 2015, so that features keep
    their size through the eight layers, as trained ones do.
    """
    generator = rng.generator(seed, "alexnet")
    params = network.with_nets(1).init(generator)
    if kind == "random":
        for w in params.values():
            if w.ndim > 2:  # weights (1, out, in, ...); biases are (1, out)
                w.normal_(0, math.sqrt(2 / w[0, 0].numel()), generator=generator)
            else:
                w.zero_()
    else:
        published = list(imagenet_state().values())
        names = list(params)
        # All but the last layer; both are in forward order, weights before biases.
        for name, value in zip(names[:-2], published[:-2], strict=True):
            assert params[name].shape[1:] == value.shape, name
            params[name] = value[None]
    *_, weight, bias = params
    params[weight], params[bias] = torch.zeros_like(params[weight]), torch.ones_like(params[bias])
    return {k: w.to(device).expand(network.num_nets, *w.shape[1:]) for k, w in params.items()}


def imagenet_state() -> dict[str, Tensor]:
    """torchvision's weights by name, in forward order; `DataError` if they cannot be fetched."""
    from torchvision.models import AlexNet_Weights, alexnet

    weights = AlexNet_Weights.IMAGENET1K_V1
    try:
        return alexnet(weights=weights, progress=False).state_dict()
    except (OSError, RuntimeError) as error:  # no network, a full disk, a damaged download
        raise DataError(
            f"The ImageNet weights of AlexNet could not be fetched from {weights.url} ({error}): "
            f"connect this machine, or put the file into {torch.hub.get_dir()}/checkpoints."
        ) from error
