"""Dynamics: when, in training on real data, do networks learn what distilled images show?"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.dynamics.figures import figures, headline, options, sentence, table
from analysis.suite.dynamics.result import DynamicsFound
from analysis.suite.dynamics.spec import DynamicsTask, cost, presets

ANALYSIS = Analysis(
    name="dynamics",
    title="Recognition along training",
    icon=":material/timeline:",
    order=60,
    question="When, in training on real data, are distilled images learnt?",
    read="""\
- Networks are trained on real images only. Along the way all images of every set, and real test images, are
  classified: a line is the mean of several networks, its band reaches from the lowest to the highest.
- A marker shows where a plateau starts: the first test after which the line is never again more than one
  image of the set (and at least one point) above the highest value it had reached by then. The last
  fifth of training is too short to be called one.
- Where a line flattens while real test accuracy still rises, the set holds what networks learn early.
- A hollow marker is a plateau at the *ceiling*: nothing can rise above 100 %. There the figure below goes on
  telling: cross-entropy and the probability of the intended class still move.""",
    doubt="""\
- A plateau at the ceiling only says that the set is easy, not that nothing more could be learnt from it.
  Compare the loss.
- With few images the scale is coarse: with 10 images one is 10 points, and a plateau means little.
- The loss of a set can rise again while accuracy stays: networks become surer of the images they get wrong.
- Soft labels are replaced by their most likely class here.
- Step size and batch set the pace. Compare sets with each other and with the test line, not iterations of
  different recipes.
- Bands are over networks, which differ in start and order of images. The sets were made once: nothing is said
  of another distillation.""",
    paper="""\
Yang et al. 2024 (Fig. 5; CIFAR-10, 10 images per class) find sets of backpropagation through time and of
trajectory matching recognised fully after some 110 iterations; gradient matching stays near 83 % and
distribution matching near 73 % from about 150 on, while real test accuracy rises from 61 % (150) to 66 %
(300). They conclude that distilled data holds what is learnt early in training.""",
    differs="""\
- Their figure is one run whose start came from the clock; here several networks, with starts and orders from
  the seed, give a mean and a band.
- They computed the loss on every set but show only accuracy, so a plateau and the ceiling at 100 % look the
  same. Here the plateau has a definition, the ceiling is marked, and loss and probability are shown.
- The networks before training (iteration 0) are tested too.
- *As published* has their network, batch and step size and all test images.""",
    spec=DynamicsTask,
    found=DynamicsFound,
    presets=presets,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    options=options,
    smallest={"network": "convnet-4", "nets": 2, "iterations": 12, "every": 3, "test_images": 50},
)
