"""Bias: does distilling strengthen a colour that points at classes in training and at nothing in testing?

Accuracy where the colour agrees with an image's class and where it contradicts it, compared where networks
are equally accurate on images coloured as in training.
"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.bias.figures import figures, headline, sentence, table
from analysis.suite.bias.result import BiasFound
from analysis.suite.bias.spec import BiasTask, cost, lacking, presets

ANALYSIS = Analysis(
    name="bias",
    title="Bias",
    icon=":material/palette:",
    order=98,
    question="Does distilling strengthen a misleading colour?",
    read="""\
- Each class has a colour that most of its training images carry. Each test digit comes in every colour, so
  in testing colours tell nothing.
- Networks that go by shapes are as often right with a wrong colour as with a right one: the two marks of a
  line meet. Networks that go by colours alone are at 100 % and at 0 %.
- More accurate networks differ in both, so sources are compared at **equal accuracy** on images coloured as
  in training: what somebody would measure who does not know of the colours.
- A *wrong colour costs* the accuracy with the right one minus that with another.
- The grey lines are as many random real images, class means, and random real images as many as the smallest
  class has, nearly all there are.""",
    doubt="""\
- One data set with one misleading property, which is easier to learn than shapes. Others may be harder.
- In random images a colour is right as often as chance has it: ten images of a class may all have its colour.
- Ten images per class can hold few exceptions; what looks like the method may be the size of the set. Random
  images of the same size have that limit too, class means none.
- Colours are learned before shapes: trained longer, networks on real images may still turn to shapes.
- Networks early and late in training differ in more than their accuracy. Values between two looks lie on a
  straight line.
- The same test digits for all: what they share is in no interval.
- Each set was made once; nothing is known of another distillation.""",
    paper="Yang et al. 2024 do not ask this.",
    differs="""\
**This view is ours.** A colour is read from an image's pixels by the rule of the data set: that of the class
whose colour is nearest to the mean of its ink. Sets for data without such a rule have no answer here.
Networks of the same number start from the same weights on every source.""",
    spec=BiasTask,
    found=BiasFound,
    presets=presets,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    lacking=lacking,
    smallest={"network": "convnet-4", "nets": 2, "iterations": 10, "more": 4, "looks": 3},
    smallest_data="coloured_digits",
)
