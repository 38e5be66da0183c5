"""Feature map: do distilled images lie among the real images of their class, as a network sees them?"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.features.figures import (
    figures,
    headline,
    options,
    pictures,
    sentence,
    table,
)
from analysis.suite.features.result import FeaturesFound
from analysis.suite.features.spec import FeaturesTask, cost, pools, presets

ANALYSIS = Analysis(
    name="features",
    title="Feature map",
    icon=":material/scatter_plot:",
    order=20,
    question="Do distilled images lie among the real images of their class?",
    read="""\
- A point is an image as the last layer but one of a network sees it; the network was trained on real images
  only. Small points are real test images, large ones distilled, with the edge and the symbol of their set.
- *UMAP* keeps neighbours together. Fitted to all images, distilled ones shape the map a little;
  fitted to real images alone, they cannot. *PCA* is a plain projection, without any choice.
- Point at an image to see it, draw a lasso around points to open their images, or find an image by its set.
- The second figure is the measurement: it counts neighbours among all features, not in the plane.""",
    doubt="""\
- Distances between clusters of UMAP, and their sizes, mean nothing; another random state moves them.
- A point between clusters may be the map's fault: believe the count, which knows no map.
- Real test images do not reach 100 % either: compare with their bar, and look at the spread over networks.
- With 10 images one of them is 10 points. Soft labels count as their largest entry.
- Spread is over networks trained on real data. The sets were made once: nothing is said of another
  distillation.""",
    paper="""\
Yang et al. 2024 (Fig. 2, right; CIFAR-10, ResNet-18, 10,000 test images) draw one UMAP of real images with
those of trajectory and of distribution matching. Most distilled points lie on the cluster of their class.""",
    differs="""\
The paper shows one network and one map, fitted to real and distilled images together, and judges by
eye. Here an honest alternative places distilled images in a map of real ones, PCA stands beside it, and the
neighbours are counted in feature space for several networks. *As published* takes its network, its 10,000
images, 5 neighbours and random state 42; choose runs of trajectory and of distribution matching to repeat
it. Versions of UMAP differ in their maps even for the same random state.""",
    spec=FeaturesTask,
    found=FeaturesFound,
    presets=presets,
    pools=pools,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    options=options,
    pictures=pictures,
    smallest={
        "network": "convnet-4",
        "nets": 2,
        "epochs": 1,
        "real_images": 60,
        "projection": "pca",
    },
)
