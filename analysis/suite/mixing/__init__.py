"""Mixing: can distilled images stand in for a part of a real training set?"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.mixing.figures import figures, headline, sentence, table
from analysis.suite.mixing.result import MixingFound
from analysis.suite.mixing.spec import MixingTask, cost, presets

ANALYSIS = Analysis(
    name="mixing",
    title="Mixing with real images",
    icon=":material/blender:",
    order=40,
    question="Can distilled images stand in for a part of a real training set?",
    read="""\
- A curve starts with the set alone and goes on with the same set plus 1, 2, ... real images of every class.
  The dashed curve has random real images in place of the set, as many as the set was asked to have, and the
  same real images are added.
- If distilled images were like real ones, all curves would rise alike. A curve that stays flat or falls says
  that real and distilled images do not add up.
- The second figure compares every network with itself at the start of its curve, so most of the luck in
  starting weights and in the draw of real images cancels.""",
    doubt="""\
- With *steps* fixed, a large mixture gets as many steps as a small set, so it is trained less well: choose
  *scaled* to see what remains of a dip.
- With *weighting* images, real images carry most of the loss as soon as there are more of them: choose
  *halves* to keep the distilled part at one half.
- A set near 100 % has little left to gain, random images have much: part of the difference is that
  ceiling.
- Distilled sets are made for their own recipe. Here all get the same one; learned step sizes are not
  used.
- Between networks the start and the added real images vary, the same for every set. The sets were made once:
  nothing is said of another distillation.""",
    paper="""\
Yang et al. 2024 (Fig. 3, right; CIFAR-10, 10 images per class, up to 250 real ones added) find that curves
of distilled sets dip at first: backpropagation through time from .587 to .498 and trajectory matching from
.532 to .453 at 10 real images per class. Random subsets rise steadily from .273 to .583, and all meet near
.59. They conclude that outside the usual evaluation distilled data does not replace real data.""",
    differs="""\
The paper trains one network for each point, and its networks are seeded by the clock although the code
fixes a seed: here there are several, each with its own start and its own draw of real images, the same for
every set. The random subset never contains an image that is added as well; in the published code it may.
Steps that grow with the mixture and a loss that is half distilled, half real are our additions; the training
itself (300 full-batch steps, step size 0.01, momentum 0.9, no augmentation) is the paper's. Soft labels stay
soft and real ones are one-hot beside them. *As published* for images below 28 pixels stops at 50 per
class, since there are not 260 of each.""",
    spec=MixingTask,
    found=MixingFound,
    presets=presets,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    smallest={"added": (0, 1, 3), "nets": 2, "network": "convnet-4", "iterations": 10},
)
