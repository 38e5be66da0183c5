"""Networks by a short text: for analyses, for evaluations, for imported sets."""

from __future__ import annotations

import pytest

from ddcore.base.errors import SpecError
from ddcore.nets.architectures import NetSpec
from ddcore.nets.words import judge, network, parse, word

CIFAR = (3, 32, 32)


def test_networks_by_their_text():
    assert parse("networks", "mlp") == ("mlp", None)
    assert parse("networks", "resnet18-8") == ("resnet18", 8)
    depths = [network("n", "convnet-4", (1, s, s), 10).depth for s in (8, 28, 32, 64)]
    assert depths == [2, 3, 3, 4]
    for wrong in (
        "nothing",
        "convnet-",
        "convnet-x",
        "convnet-0",
        "convnet-²",
        "lenet-8",
        "mlp-99999",
    ):
        with pytest.raises(SpecError, match="networks"):
            parse("networks", wrong)
    with pytest.raises(SpecError, match="not 32"):
        network("networks", "vgg11", (1, 8, 8), 10)


def test_a_set_is_judged_in_its_own_network_at_another_width():
    own = NetSpec(width=64, depth=3, norm="none", init="xavier")
    assert judge("arch", "convnet", own, CIFAR, 10) == own
    assert judge("arch", "convnet-128", own, CIFAR, 10) == own.replace(width=128)
    assert judge("arch", "convnet-64", own, CIFAR, 10) == own


def test_a_set_is_judged_in_another_architecture():
    """By its name alone as it is by itself; with a width as in analyses, drawn as the set's own."""
    own = NetSpec(arch="mlp", init="xavier")
    assert judge("arch", "convnet", own, (1, 8, 8), 10) == NetSpec(arch="convnet")
    assert judge("arch", "convnet-32", own, (1, 8, 8), 10) == network(
        "arch", "convnet-32", (1, 8, 8), 10
    ).replace(init="xavier")
    with pytest.raises(SpecError, match=r"arch = 'alexnet224-8' is not allowed.*32 × 32"):
        judge("arch", "alexnet224-8", own, CIFAR, 10)


@pytest.mark.parametrize("text", ["convnet-32", "resnet18-8", "mlp-64", "lenet"])
def test_a_network_is_named_by_the_text_that_made_it(text):
    assert word(network("arch", text, CIFAR, 10)) == text
