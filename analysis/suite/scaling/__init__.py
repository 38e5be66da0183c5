"""Scaling: how does the gap to all data shrink with the images per class, and in the worst set-up?

The law gap(k) = floor + c / sqrt(k), and with a free exponent, after the rate that Luo & Xu (ICML 2026) ask
about; fitted to whatever sizes there are.
"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.scaling.figures import figures, headline, options, sentence, table
from analysis.suite.scaling.result import ScalingFound
from analysis.suite.scaling.spec import ScalingTask, cost, pools, presets

ANALYSIS = Analysis(
    name="scaling",
    title="Scaling",
    icon=":material/trending_down:",
    order=106,
    question="How does the gap to all data shrink with more images?",
    read="""\
- The gap is the accuracy of networks trained on all data minus that at each number of images per class. A
  curve that falls fast and flattens early gains little from more images.
- The *floor* is what the law leaves however many images there are; the *exponent* says how fast the gap
  falls towards it. Random real images and class means of the same sizes are the yardsticks.
- Choose runs of one method with different images per class: they are taken as one family. A run that is alone
  is cut into random parts of fewer images per class.
- *In the worst set-up*: of several ways of training, the one that does worst at each size.""",
    doubt="""\
- A part of a large set is not the set that would be made for that size. Curves of parts say how much each
  image adds, not how well the method scales.
- A floor lies beyond the sizes that were measured. Few sizes fit many laws: look at what the law leaves.
- The law may go below zero, and training a fixed number of steps has a floor of its own.
- The worst of several set-ups depends on which were tried, and grows with their number.
- Intervals are over networks, their random images and parts. Sets were made once.""",
    paper="""\
Yang et al. 2024 do not ask this. Luo & Xu (ICML 2026, arXiv 2512.05817) ask for laws of distillation over
sizes and set-ups of training.""",
    differs="""\
**This view is ours.** The exponent 1/2 is held against a free one, with the jackknife over networks. The
interval of the worst set-up allows for having chosen it.""",
    spec=ScalingTask,
    found=ScalingFound,
    presets=presets,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    pools=pools,
    options=options,
    smallest={
        "network": "convnet-4",
        "nets": 2,
        "sizes": (1, 2, 3, 4),
        "factors": ("loss",),
        "iterations": 10,
        "epochs": 1,
    },
)
