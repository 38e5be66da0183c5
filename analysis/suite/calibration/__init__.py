"""Calibration: are networks trained on a distilled set as often right as they are sure?

Expected calibration error with bins of equal mass, the estimate without bias of Kumar et al. 2019,
temperature scaling after Guo et al. 2017, and images of no class, where networks are equally accurate.
"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.calibration.figures import figures, headline, options, sentence, table
from analysis.suite.calibration.result import CalibrationFound
from analysis.suite.calibration.spec import CalibrationTask, cost, presets

ANALYSIS = Analysis(
    name="calibration",
    title="Calibration",
    icon=":material/speed:",
    order=97,
    question="Are networks trained on a set as often right as they are sure?",
    read="""\
- *Confidence* is the largest probability a network gives. Calibrated networks are right in 80 % of the images
  of which they are 80 % sure: the diagonal.
- *Expected calibration error* is the mean distance from the diagonal over 15 bins with equally many images.
  *Without bias* takes off what chance within the bins adds; it may be below 0.
- A *temperature* divides the outputs. It is fitted on validation images, and changes no answer.
- More accurate networks are surer, so sources are compared at **equal accuracy**: where a training first
  reaches the accuracy that both reach.
- *Unknown* images are of no class. The area under the curve is the chance that a test image seems better
  known than one of these; 0.5 is guessing.""",
    doubt="""\
- The calibration error depends on bins and grows with chance where images are few; Brier score and likelihood
  have no bins, but mix calibration with accuracy.
- Validation images are real ones: who has only the distilled set cannot fit a temperature on them.
- How long a network was trained moves its confidence more than what it was trained on.
- Unknown images are made of test images or noise; a second data set would be another question, and a
  harder one.
- Values between two looks lie on a straight line.
- Each set was made once; nothing is known of another distillation.""",
    paper="""\
Yang et al. 2024 do not ask this. Zhu et al. (ICCV 2023) ask how such networks are calibrated, of larger
networks and other recipes.""",
    differs="""\
**This view is ours.** Bins have equally many images, not equal width. Energy is taken at temperature 1.
Networks of the same number start from the same weights on every source, and every unknown image is the same
for all.""",
    spec=CalibrationTask,
    found=CalibrationFound,
    presets=presets,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    options=options,
    smallest={
        "network": "convnet-4",
        "nets": 2,
        "iterations": 10,
        "more": 4,
        "images": 40,
        "looks": 3,
    },
)
