"""Robustness: do networks trained on a distilled set fall to smaller changes of their images?

Fast gradient sign (Goodfellow et al. 2015) and projected gradient descent (Madry et al. 2018) with bounded
pixels, compared where networks are equally accurate.
"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.robustness.figures import (
    figures,
    headline,
    options,
    pictures,
    sentence,
    table,
)
from analysis.suite.robustness.result import RobustnessFound
from analysis.suite.robustness.spec import RobustnessTask, cost, presets

ANALYSIS = Analysis(
    name="robustness",
    title="Robustness",
    icon=":material/shield:",
    order=96,
    question="Do networks trained on a set withstand changed pixels?",
    read="""\
- An attack changes each pixel of a test image a little, so that a network errs. The bound is the largest
  change, on the scale where 0 is black and 1 is white.
- More accurate networks have more to lose, so sources are compared at **equal accuracy**: where a training
  first reaches the accuracy that both reach.
- *Fast gradient sign* takes one step, *projected gradient descent* many. An image counts as right only where
  nothing that was tried misled the network.
- The grey lines are as many random real images, class means, and a larger random set, which passes every
  accuracy early in its training.""",
    doubt="""\
- An attack shows that a network can be misled, never that it cannot: stronger ones find more.
- Where outputs saturate, gradients vanish and attacks fail. That looks like robustness and is none.
- One training recipe for all; a set made for another step size or network may behave otherwise there.
- Networks early and late in training differ in more than their accuracy, such as the size of their weights.
- Values between two looks lie on a straight line.
- A few hundred test images, the same for all: what they share is in no interval.
- Each set was made once; nothing is known of another distillation.""",
    paper="""\
Yang et al. 2024 do not ask this. Benchmarks of the robustness of distilled data exist; their figures stand
beside accuracies that differ, and a network that is wrong anyway has little to lose.""",
    differs="""\
**This view is ours.** Attacks are bounded in pixels, behind normalisation or whitening, and kept within black
and white. They begin at the image itself, without a random start, in steps of 2.5 times the bound over their
number. Networks of the same number start from the same weights on every source.""",
    spec=RobustnessTask,
    found=RobustnessFound,
    presets=presets,
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
        "iterations": 10,
        "more": 4,
        "bounds": (0.05, 0.1),
        "steps": 2,
        "images": 20,
        "looks": 3,
    },
)
