"""CIFAR-100 with its fine labels."""

from __future__ import annotations

from pathlib import Path

from ddcore.data.sources._raw import RawData
from ddcore.data.sources._source import Source
from ddcore.data.sources._torchvision import read_cifar

NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree
orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum
rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train
trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CLASSES = tuple(NAMES.split())


def read(root: Path) -> RawData:
    """The python batches."""
    return read_cifar(root, "CIFAR100", CLASSES)


SOURCE = Source(
    name="cifar100",
    title="CIFAR-100",
    classes=CLASSES,
    shape=(3, 32, 32),
    train_size=50_000,
    test_size=10_000,
    flips=True,
    about="Small colour photographs in a hundred classes (Krizhevsky 2009, University of Toronto).",
    read=read,
    layout=tuple(f"cifar-100-python/{file}" for file in ("train", "test", "meta")),
    torchvision="CIFAR100",
    mean=(0.5071, 0.4867, 0.4408),
    std=(0.2675, 0.2565, 0.2761),
)
