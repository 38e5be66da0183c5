"""Recognition: do networks that saw only real data classify distilled images as intended?"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.recognition.figures import (
    figures,
    headline,
    options,
    pictures,
    sentence,
    table,
)
from analysis.suite.recognition.result import RecognitionFound
from analysis.suite.recognition.spec import RecognitionTask, cost, pools, presets

ANALYSIS = Analysis(
    name="recognition",
    title="Recognition",
    icon=":material/visibility:",
    order=10,
    question="Do networks that saw only real data recognise distilled images?",
    read="""\
- A marker is the share of a set's images that networks of one architecture call the intended class. The
  networks were trained on real images only and never saw a distilled one.
- Two yardsticks: real test images, and as many real *training* images as a set has. The second must be
  close to the networks' accuracy on their training data, else something is wrong.
- The matrix shows what images are taken for; below it are the images that fail most often.""",
    doubt="""\
- A small set has a coarse scale: with 10 images one of them is 10 points, and its standard error is
  near 10 points too.
- Being recognised is not being useful: a set may be recognised fully and still teach little, or the
  other way round.
- Soft labels are replaced by their most likely class here.
- Other networks, trained longer or shorter, give other figures: compare the architectures.
- Spread is over networks trained on real data. The sets were made once: nothing is said of another
  distillation.""",
    paper="""\
Yang et al. 2024 (Fig. 2, left; CIFAR-10, 10 images per class) find images of trajectory matching and of
backpropagation through time recognised almost always, those of distribution and of gradient matching
far less, least by the residual networks. They conclude that the latter two carry less information.""",
    differs="""\
The bars of the paper's published notebook carry labels in another order than its results: corrected,
the two plain ConvNets recognise most and the residual networks least (distribution matching .71 in the
ConvNet, .54 in its narrow version, .46 and .41 in ResNet-18 and -34). It trains one network of each kind;
here several, with their spread, are trained. *As published* takes its four networks and its step size, batch
and 40 epochs; its narrow ConvNet had 20 epochs and the recipe of its residual networks is not stated, so all
four follow the same one.""",
    spec=RecognitionTask,
    found=RecognitionFound,
    presets=presets,
    pools=pools,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    options=options,
    pictures=pictures,
    smallest={"networks": ("mlp-8", "convnet-4"), "nets": 2, "epochs": 1},
)
