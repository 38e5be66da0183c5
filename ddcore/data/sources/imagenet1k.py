"""ImageNet-1k: class folders that people have downloaded themselves, as squares of 224 pixels."""

from __future__ import annotations

from ddcore.data.sources._source import Source

CLASSES = 1000

SOURCE = Source(
    name="imagenet1k",
    title="ImageNet-1k",
    # Its folders name the classes (n01440764, ...); until they are read, numbers do.
    classes=tuple(f"class {number}" for number in range(CLASSES)),
    shape=(3, 224, 224),
    train_size=1_281_167,
    test_size=50_000,
    flips=True,
    about="Photographs of a thousand things (Russakovsky et al. 2015), the validation part as test. Its "
    "folders come from image-net.org and are not downloaded here; decoded it takes 200 GB (DD_DECODED_GB).",
    folders=True,
)
