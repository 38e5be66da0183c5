"""Privacy: do distilled images show training images, and do networks trained on them give them away?

Two measurements. The nearest training image of every distilled image, beside the same distance of real
images that were held out. And a membership test: a network's loss on training images against its loss on
images that were never used (Yeom et al. 2018); the better the two can be told apart, the more it gives away.
"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.privacy.figures import figures, headline, pictures, sentence, table
from analysis.suite.privacy.result import PrivacyFound
from analysis.suite.privacy.spec import PrivacyTask, cost, pools, presets

ANALYSIS = Analysis(
    name="privacy",
    title="Privacy",
    icon=":material/shield_person:",
    order=100,
    question="Do distilled images give the training images away?",
    read="""\
- The curves say which share of a set lies within a distance of some training image. Real images that were
  held out are the yardstick: what lies left of their curve is closer to the training data than chance.
- An AUC is the chance that a training image has a smaller loss than an image never used, in networks
  trained on the set: 0.5 is guessing, 1 gives every training image away.
- Networks trained on *few real* images, asked about just these, show what giving away looks like.""",
    doubt="""\
- Images made *from* real ones are often near-copies: sets that start from real images and move little, and
  exact distillation started from real images with many images per class. The pictures show it.
- Distance of pixels misses copies that are shifted, scaled or drawn in other colours.
- A threshold on the loss is the weakest of attacks: failing here proves nothing. No figure on this page is a
  guarantee, such as differential privacy would give.
- For a distilled set every training image counts as used, though the set can only hold on to a few.
- Intervals are over networks and images. The sets were made once: nothing is said of another
  distillation.""",
    paper="""\
Yang et al. 2024 do not ask this. For exact distillation, Chen et al. 2024 say that a set does not determine
the training data, of which many give the same model; that says nothing of a set that starts from them.""",
    differs="This view is ours: nearest training images, and the loss-threshold test of Yeom et al. 2018.",
    spec=PrivacyTask,
    found=PrivacyFound,
    presets=presets,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    pools=pools,
    pictures=pictures,
    smallest={"network": "convnet-4", "nets": 2, "images": 50, "epochs": 1},
)
