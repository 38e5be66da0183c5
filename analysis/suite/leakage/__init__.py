"""Leakage: what do the images of a set give away of the training data, and what its labels?

Likelihood-ratio attacks after Carlini et al. 2022 on both channels apart, and false labels that a teacher
memorised and that networks taught by it repeat.
"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.leakage.figures import figures, headline, options, sentence, table
from analysis.suite.leakage.result import LeakageFound
from analysis.suite.leakage.spec import LEAST, LeakageTask, cost, presets

ANALYSIS = Analysis(
    name="leakage",
    title="Leakage",
    icon=":material/water_drop:",
    order=102,
    question="What do a set's images give away, and what its labels?",
    read="""\
- An attacker has the set, and asks of a picture: was it in the training data? The figure says which share of
  them is found while 1 % of other pictures are wrongly accused. Guessing finds 1 %.
- *Images*: networks are trained on the set with classes as labels. *Labels*: on the same images with what a
  teacher says, who saw a known half of the pictures.
- The attack holds a network's confidence in a picture against that of networks which never saw it, so that
  easy pictures are not taken for known ones.
- False labels: every teacher learned some pictures under a wrong name. Can this name be read from networks
  that saw only its labels for a set? Whoever asks has the picture and knows what it shows.""",
    doubt="""\
- A failed attack proves nothing: a stronger one may succeed. Only differential privacy is a guarantee.
- Sets are not distilled anew without a picture: that is what a full attack would do. Networks trained on
  class means of halves stand for them, so what images give away may be underrated.
- Half the pictures teach a teacher, without weight decay: one of all pictures memorises less.
- Few held-out pictures cannot tell 0.1 % false positives: it takes 1,000, and ten times as many to know
  them well.
- Intervals are over pictures and teachers. Sets were made once; nothing is said of another distillation.""",
    paper="""\
Yang et al. 2024 do not ask this. The attack is that of Carlini et al. 2022, who hold that true positives at
few false ones are what counts.""",
    differs="""\
**This view is ours.** Pictures and labels are attacked apart. With few shadows all pictures share a variance,
as Carlini et al. do; every shadow is attacked in turn by the others, but for the one with the other half.""",
    spec=LeakageTask,
    found=LeakageFound,
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
        "images": 100,
        "shadows": LEAST,
        "planted": 3,
        "iterations": 10,
        "epochs": 1,
    },
)
