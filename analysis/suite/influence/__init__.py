"""Influence: what does a single distilled image teach? Exact leave-one-out retraining."""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.shared.loo_spec import loo_pools, loo_presets
from analysis.suite.influence.figures import (
    figures,
    headline,
    options,
    pictures,
    sentence,
    table,
)
from analysis.suite.influence.result import InfluenceFound
from analysis.suite.influence.spec import InfluenceTask, cost

ANALYSIS = Analysis(
    name="influence",
    title="Influence",
    icon=":material/moving:",
    order=80,
    question="What does a single distilled image teach?",
    read="""\
- *Influence* of a distilled image on a test image: how much larger the test image's loss is when a network
  is trained without it. Positive: it helps. Nothing is approximated, every network is trained again.
- All networks of one initialisation start from the same weights, so they differ in the missing image alone.
  Values are means over several initialisations; the rank correlation says how far two of these agree.
- *Beyond its class mates* subtracts the mean over the images of its class: what this image does that others
  of its class do not.
- The last figure compares two cheap estimates with the truth.""",
    doubt="""\
- Without an image its class has one image less than the others, so much of the influence is the class's.
  That part is gone beyond class mates, but with 2 images per class what is left is just their difference.
- The test images helped most are often simply those with a large loss, whichever image is left out.
- Where two initialisations hardly agree, the picture of one would show chance.
- Influence is of one image out of a full set: two images that can replace each other both seem worthless.
- Rounding grows in training: in single precision equivalent computations differ by a few per cent of the
  spread of influences. Double precision takes about twice as long and settles it.
- Soft labels are replaced by their most likely class here.
- Means are over starts of the network. The sets were made once: nothing is said of another distillation.""",
    paper="""\
Yang et al. 2024 (Fig. 10; CIFAR-10, 10 images per class) retrain without each image in turn and show, for
each image of a class, the 9 test images whose loss grows most. In the picture of class airplane for
backpropagation through time all of them are airplanes, and rows differ in sky, ground, size and pose. They
conclude that single distilled images carry meaning beyond the class.""",
    differs="""\
The same retraining: 300 full-batch steps at step size .01 with momentum, one start shared by all networks.
They use one initialisation; here there are several, and their agreement is shown. All networks of one
initialisation are trained as one batched network, with a weight of 0 or 1 for each image. Ours as well: the
view beyond class mates, the reverse question for a test image, and the estimates: gradient dot products
(Pruthi et al. 2020, at the final weights) and the influence function (Koh & Liang 2017) by conjugate
gradients in double precision. Sets with 1 image per class are refused. *As published* is their network and
all test images.""",
    spec=InfluenceTask,
    found=InfluenceFound,
    presets=loo_presets,
    pools=loo_pools,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    options=options,
    pictures=pictures,
    least_ipc=2,
    least_why="without the only image of a class the class itself would be missing",
    smallest={"network": "convnet-4", "inits": 2, "iterations": 30},
)
