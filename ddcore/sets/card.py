"""The texts that travel with an exported set: the dataset card and the note beside a preview."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from ddcore.sets.distilled import DistilledSet
from ddcore.training.protocols import PURPOSE

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def slug(text: str) -> str:
    """Lower-case letters, digits and single hyphens: safe in any file name."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40]


def preview_note(made: DistilledSet) -> str:
    """README.txt of a folder of pictures."""
    return f"""Preview of a distilled set: {len(made.images)} images, {made.num_classes} classes.

These pictures are a preview and never the data. A distilled image is made of exact numbers, of which
a picture keeps 8 bits between black and white: {_clipped(made)}
Networks trained on these pictures are not trained on the set. To use it, export it as npz, pt,
safetensors or hf.

images/    one picture for each image, at its own size: class number, class name, number in the class
sheet.png  all of them, a row for each class, enlarged by repeating pixels

Made by {made.method}{_run(made)}.
"""


def picture_note(made: DistilledSet) -> str:
    """README.txt of class folders."""
    soft = "soft_labels.npy  (M, K) float32, rows as in labels.csv\n" if made.soft else ""
    return f"""A distilled set as class folders: {len(made.images)} images, {made.num_classes} classes.

Pictures keep 8 bits between black and white: {_clipped(made)}
The exact set is exported as npz, pt, safetensors or hf.

train/           a folder for each class, in the alphabet's order, which is that of the labels
labels.csv       file, label and name of the class of each picture
{soft}
Made by {made.method}{_run(made)}.
"""


def card(made: DistilledSet, name: str) -> str:
    """README.md of a Hugging Face dataset folder: front matter, use, origin, caveats."""
    c, h, w = made.shape
    return f"""---
{_front(made, name)}
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
---

# Distilled set {name}

{len(made.images)} synthetic images ({c} x {h} x {w}, float32) of {made.num_classes} classes on which a
network is trained instead of on {_inline(made.data.get("name", "the original data"))}.

{_loading(made)}
{_origin(made)}
## Caveats

- The pictures are clamped to 8 bits: {_clipped(made)} Train on `pixels`.
{_order_caveat(made)}- Accuracy in other networks, or under other protocols, is usually lower.
- The licence of the data it was distilled from may apply to it.

## Classes

{_classes(made)}
"""


def _front(made: DistilledSet, name: str) -> str:
    front = {
        "pretty_name": f"Distilled set {name}",
        "task_categories": ["image-classification"],
        "tags": ["dataset-distillation", "synthetic"],
        "size_categories": [next((t for n, t in _SIZES if len(made.images) < n), "100K<n<1M")],
    }
    # JSON values are YAML values, so no class or data name can break the front matter.
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in front.items())


def _loading(made: DistilledSet) -> str:
    c, h, w = made.shape
    return f"""## Loading

```python
import numpy as np
from datasets import load_dataset
rows = load_dataset("FOLDER_OR_REPOSITORY", split="train").with_format("numpy")
images = np.stack(rows["pixels"]).reshape(-1, {c}, {h}, {w})  # float32, as networks see them
labels = np.asarray(rows["label"])
```

With the program that made it, under its own protocol:

```python
from ddcore.sets.exports import load
made = load("FOLDER")
trained = made.train()
```

| column | what |
|---|---|
| `image` | 8-bit picture: a preview, not the data |
| `pixels` | the image itself: {c * h * w} float32 numbers (channel, row, column), preprocessed |
| `label` | class number{" (the largest of `soft_label`)" if made.soft else ""} |
{"| `soft_label` | the target: a number for each class |" + chr(10) if made.soft else ""}\
| `step` | which step of training the image belongs to, from 0 |

`distilled.safetensors` holds the whole set exactly{_extras(made)}; its header entry `meta` says the rest.
"""


def _origin(made: DistilledSet) -> str:
    return f"""## Preprocessing

{_preprocessing(made)}

## How it is meant to be trained on

Protocol `{made.protocol.name}`: {PURPOSE.get(made.protocol.name, "see below")}. Network \
{made.net.label()}.

```json
{_json(made.protocol.to_dict())}
```

## How it was made

Method `{made.method}`{_run(made)}.

```json
{_json(made.params)}
```

## Metrics

Shares, not per cent. An accuracy means nothing without its protocol and network.

```json
{_json(made.metrics)}
```
"""


def _preprocessing(made: DistilledSet) -> str:
    given = made.preprocess
    if given.whitens:
        return (
            "ZCA whitening of flattened pixels on the [0, 1] scale, `(x - zca_mean) @ zca_matrix`; "
            "the three `preprocess.zca_*` arrays are in `distilled.safetensors`. Test images must be "
            "whitened by the same arrays."
        )
    return (
        "`(x - mean) / std` per channel of pixels on the [0, 1] scale, with mean "
        f"{_numbers(given.mean)} and std {_numbers(given.std)}. Test images must be normalised by the "
        "same numbers."
    )


def _order_caveat(made: DistilledSet) -> str:
    lines = []
    if made.lrs is not None:
        lines.append(
            f"- The {made.steps} steps must be taken in their order with the learned step sizes "
            f"({len(made.lrs)} in `lrs`); shuffled minibatches give a much lower accuracy.\n"
        )
    if made.init_weights:
        lines.append(
            "- It was made for one known initialisation (`init.*`) and is of little use for others.\n"
        )
    if bank := made.start.get("bank"):
        source = _inline(bank["data"]["name"])
        lines.append(
            f"- It was made for networks trained on {source}, which are not in it: "
            "`made.train(weights=...)` takes theirs.\n"
        )
    if made.start.get("weights"):
        lines.append(
            f"- It was made for an AlexNet with {_inline(made.start['weights'])} weights, its last layer "
            "0 and its last biases 1; `made.train()` makes that.\n"
        )
    if made.relabel:
        a, b = (_inline(made.class_names[c]) for c in made.relabel)
        lines.append(
            f"- It is an attack: a trained network takes {a} for {b} after training on it. Do not mix it "
            "into training data.\n"
        )
    return "".join(lines)


def _extras(made: DistilledSet) -> str:
    extra = ["labels"]
    extra += ["learned step sizes (`lrs`)"] if made.lrs is not None else []
    extra += ["the initial weights (`init.*`)"] if made.init_weights else []
    extra.append("preprocessing (`preprocess.*`)")
    return ", with " + ", ".join(extra)


def _clipped(made: DistilledSet) -> str:
    return f"{100 * made.clipped_share():.1f} % of the values lie outside and are cut off."


def _run(made: DistilledSet) -> str:
    return f" (run {made.run_key})" if made.run_key else ""


def _classes(made: DistilledSet) -> str:
    return "\n".join(f"{i}. {_inline(name)}" for i, name in enumerate(made.class_names))


def _inline(text: Any) -> str:
    """Text inside Markdown: no line breaks, nothing that starts markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(str(text).split()))


def _numbers(values: Any) -> str:
    return "(" + ", ".join(f"{v:.7g}" for v in values) + ")"


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
