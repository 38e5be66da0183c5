"""Sensitivity: does a set depend on how networks are trained on it? One factor changed at a time."""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.sensitivity.figures import figures, headline, options, sentence, table
from analysis.suite.sensitivity.result import SensitivityFound
from analysis.suite.sensitivity.spec import SensitivityTask, cost, presets

ANALYSIS = Analysis(
    name="sensitivity",
    title="Sensitivity",
    icon=":material/tune:",
    order=90,
    question="Does a set depend on how networks are trained on it?",
    read="""\
- Networks are trained on each set under one plain set-up (t300: full-batch gradient descent with momentum),
  then with one factor changed. A number is the change of test accuracy in points; red costs, blue helps.
- Random real images, as many, undergo the same change. What hurts them too is a property of the training;
  what hurts only a set is a property of the set: choose *beyond that of random real images*.
- A set is said to lose more than these only where a paired t test over networks shows it, with at most
  5 % of such findings false over all sets and changes (Benjamini-Hochberg); never from one network.
- The strips show every network, so that differences can be held against chance.""",
    doubt="""\
- One factor at a time says nothing of two changed together; a smaller step size with more steps may lose
  nothing.
- Every factor has its best setting elsewhere: nothing is tuned again after a change.
- Accuracies near the ceiling cannot rise, and sets that start low cannot fall far: compare changes of sets
  with similar accuracies.
- A set made for one network, step size or augmentation is at home there; t300 may not be its home.
- Differences of a point are within what other seeds give. With 3 networks only large and steady ones can be
  shown; *not shown* does not mean *the same*.
- Networks differ in their start and in the random real images. The set itself was made once: another
  distillation may behave otherwise.""",
    paper="""\
Yang et al. 2024 limit what distilled data can stand in for to the standard evaluation setting. What they
call sensitivity to training is adding real data, which is on the page about mixing.""",
    differs="""\
**This view is ours.** The set-up is that of Yang et al. (300 full-batch steps at step size .01 with momentum
.9, no weight decay or augmentation); their code changes none of these factors. Networks start from the same
weights for every set and for every change that leaves the network alone, so changes are paired. Batches of
parts of the set take as many steps as the whole set. Images of digits are never mirrored.""",
    spec=SensitivityTask,
    found=SensitivityFound,
    presets=presets,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    options=options,
    smallest={
        "factors": ("optimiser", "batch", "init"),
        "nets": 2,
        "network": "convnet-4",
        "iterations": 10,
    },
)
