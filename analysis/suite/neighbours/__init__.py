"""Neighbours: which real images are nearest to the distilled ones, in pixels and as a network sees them?"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.neighbours.figures import figures, headline, pictures, sentence, table
from analysis.suite.neighbours.result import NeighboursFound
from analysis.suite.neighbours.spec import NeighboursTask, cost, pools, presets

ANALYSIS = Analysis(
    name="neighbours",
    title="Nearest real images",
    icon=":material/image_search:",
    order=35,
    question="Which real images are nearest to the distilled ones?",
    read="""\
- For every distilled image the nearest training image is found twice: between pixels, and between what the
  last layer but one of a network makes of them. The network was trained on real images only.
- Distances are given in units of a yardstick: 1 is as far as real images that were held out of training lie
  from it (the median). Left of the dotted line an image is closer to the training data than unseen real
  ones are.
- An image can be far away in pixels and near in features: it looks unlike any photograph, and yet the
  network takes it for one of the class.
- The last figure asks whether the nearest real image is of the class that the distilled one stands for.""",
    doubt="""\
- Distance of pixels grows with noise and contrast: an image with values beyond black and white is far from
  everything, whatever it shows.
- Features are those of one kind of network. It never saw distilled images, so its distances between them
  and real ones mean less than those between real ones; the dots of several networks show part of that.
- Training images lie a little apart from unseen ones in a network that was trained on them.
- Sets that start from real images may still be near to where they began.
- With 10 images one of them is 10 points. Soft labels count as their largest entry.
- Means are over networks trained on real data. The sets were made once: nothing is said of another
  distillation.""",
    paper="""\
Yang et al. 2024 show distilled images in a map of real ones (Fig. 2, right) and by the density of their
pixels (Fig. 3, left). Nearest real images are not among what they show there.""",
    differs="""\
**This view is ours.** Comparisons are exact, with every training image in 64 bit and in all features, not in
a map. The page of a set's images answers the same question for one image at a time, in pixels.""",
    spec=NeighboursTask,
    found=NeighboursFound,
    presets=presets,
    pools=pools,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    pictures=pictures,
    smallest={"network": "convnet-4", "nets": 2, "epochs": 1, "held_out": 40, "neighbours": 2},
)
