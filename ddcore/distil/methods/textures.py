"""Tileable textures by distribution matching, after Cazenavette et al. (2022), "Wearable ImageNet".

The paper matches trajectories; feature matching is the cheap objective. `mtt` with
`parametrization=canvas` is the published one.
"""

from __future__ import annotations

from typing import Any

from ddcore.distil.contract import Method
from ddcore.distil.methods import dm
from ddcore.nets.plan import Shape

WINDOWS = 16  # of each class in one use, at least: with few, the average feature is mostly chance


def presets(
    data: str, shape: Shape, ipc: int, variant: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Those of distribution matching, from noise on canvases: 2 x 2 images large where `ipc` allows."""
    side = 2 if ipc % 4 == 0 else 1
    crops = max(side**2, WINDOWS // (ipc // side**2))
    canvas = {
        "parametrization": "canvas",
        "knobs": {"canvas": side, "crops": crops},
        "init": "noise",
    }
    return {
        name: {**fields, **canvas, "params": {**fields["params"], "lr": 1.0}}
        for name, fields in dm.presets(data, shape, ipc, variant).items()
    }


METHOD = Method(
    name="textures",
    title="Tileable textures",
    family="store",
    idea="Learn pictures without edges, of which every window has the average features of its class.",
    explanation="Each class has canvases that go on at the opposite side when one leaves them, so they "
    "tile without a seam. In every iteration windows are cut out at random places and their average "
    "features are matched to those of real images in random networks. Objective: feature matching; "
    "choose mtt with parametrization=canvas for the published one.",
    paper="Cazenavette et al. 2022, Wearable ImageNet (canvas); Zhao & Bilen 2021 (objective)",
    formula=r"\min_C \; \mathbb{E}_{\theta,\delta} \sum_c \left\| \overline{f_\theta(T_c)} - "
    r"\overline{f_\theta(\mathrm{crop}(\mathrm{roll}_\delta\, C_c))} \right\|^2",
    params=dm.DMParams,
    build=dm.build,
    cost=dm.cost,
    presets=presets,
    smallest=dm.METHOD.smallest,
    caveat="Made for the eye: a window cut out at a random place teaches where nothing is, so accuracy "
    "is below that of images with edges wherever objects are centred.",
    not_labels=dm.METHOD.not_labels,
    one_parametrization=("canvas", "without canvases this is dm, so choose that method"),
)
