"""Labels: what is a set worth when random images have labels by the same teacher?

The three regimes of Qin et al. (NeurIPS 2024) and Dey et al. (CVPR 2026) side by side, at any scale.
"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.labels.figures import figures, headline, options, sentence, table
from analysis.suite.labels.result import LabelsFound
from analysis.suite.labels.spec import LabelsTask, cost, pools, presets

ANALYSIS = Analysis(
    name="labels",
    title="Labels",
    icon=":material/label:",
    order=105,
    question="What do the labels give, and what the images?",
    read="""\
- Three regimes: *hard*, each image belongs to its class; *soft*, five networks trained on all real data
  said once what they see in it; *teacher*, they are asked about every batch as the network sees it.
- The gain is measured against as many random images with labels of the same kind. What is left of it with a
  teacher is what the images themselves are worth there.
- Images and labels share what both give together, half for each: the mean over both orders of changing them.
- Move the label temperature and change entries: the matrix shows the label that networks learn, the curves
  what came of it.""",
    doubt="""\
- The distance from best to worst grows with chance: with few networks much of it is noise.
- Batches are mixed in all regimes alike. That suits a teacher more than classes; *none* under Settings says
  how much.
- One step size and length for all regimes: the best ones differ.
- A set is judged with labels that it may not be made for, in a network that it may not be made in.
- The teacher saw all real images, so its labels carry more than any image of a set.
- Easiest, medium and hardest are by the same teacher that labels them.
- Sets and teacher were made once; intervals and stars know nothing of another distillation.""",
    paper="""\
Yang et al. 2024 do not ask this: their sets have hard labels. Qin et al. (NeurIPS 2024) find that random
images with soft labels come near distilled ones; Dey et al. (CVPR 2026) that with soft labels the choice of
images hardly matters. `ddx regimes` holds that against several seeds.""",
    differs="""\
**This view is ours.** Networks, batches and step sizes are the same in all regimes, only labels and their
loss differ: cross-entropy for classes, divergence at the label temperature for a teacher's. The published
comparisons are of large images, and change the treatment with the labels.""",
    spec=LabelsTask,
    found=LabelsFound,
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
        "sizes": (1, 2),
        "selections": ("class_mean", "hardest"),
        "iterations": 10,
        "teacher_epochs": 1,
    },
)
