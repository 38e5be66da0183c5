"""Agreement: does a network trained on distilled images decide like one stopped early on real data?"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.agreement.figures import (
    figures,
    headline,
    options,
    pictures,
    sentence,
    table,
)
from analysis.suite.agreement.result import AgreementFound
from analysis.suite.agreement.spec import AgreementTask, cost, pools, presets

ANALYSIS = Analysis(
    name="agreement",
    title="Agreement",
    icon=":material/handshake:",
    order=50,
    question="Is training on distilled images like stopping early, or like training on few images?",
    read="""\
- Networks trained on a set are compared with two pools that saw only real data: networks *stopped early*
  on all of it, and networks trained to the end on *small subsets*. Only networks of the same accuracy
  are compared, since good networks agree more with anything that is good.
- The further right, the more test images get the same answer, right or wrong. If blue lies right of
  yellow, the set teaches what is learnt early.
- The second figure shows all networks of both pools. Compare solid and dotted lines of one colour where
  the vertical line of that colour crosses them.
- A lead of early stopping counts as shown only where a t test says so. Its error adds what varies between
  the networks trained on the set, the early-stopped and the subset-trained ones, since pairs share
  networks; at most 5 % of such findings are false over all sets (Benjamini-Hochberg).
- Cohen's kappa takes away agreement by chance. Images that *both* get wrong show whether networks fail
  alike; there right answers, which agree by necessity, do not count.""",
    doubt="""\
- Look at the matched accuracies under the figure: if one pool is a point better than the other, a point of
  agreement is explained by that.
- Early-stopped and distilled-trained networks see a mixture of all images, subset-trained ones see few.
  Agreement says who answers alike, not why.
- Pairs share networks, so the dots are not independent: the width of a curve is not an error bar.
- Of images both get wrong there may be few: their count is under *Numbers*.
- The test images below are those where the majorities of the two pools differ. A majority is better than
  its members, so counts of such images need not follow the agreement of single networks.
- All networks have the same architecture and each its own random start. Sets made for learned step sizes
  or for a fixed start are trained here as any other, and may be less accurate than on their own terms.""",
    paper="""\
Yang et al. 2024 (Fig. 4; CIFAR-10, 10 images per class) find that early-stopped networks agree more for all
four methods. The distributions peak at 62 % (subsets) and 66 % (early stopping) for backpropagation through
time, 47 % and 58 % for distribution matching, 57 % and 63 % for trajectory matching; for gradient matching
near 52 % and above 56 %. They conclude that training on distilled data resembles early stopping.""",
    differs="""\
- Their code stops all 30 runs at one iteration per method, chosen by hand: distribution matching, whose
  network is less accurate, got a later one than gradient matching. Here each run is stopped where its
  accuracy is nearest to that of the network it is compared with, and runs that never come near are left out.
- Subset networks are matched by the difference in accuracy instead of rounded per cent, and n is shown.
  In means every network trained on the set counts the same, however many others match it.
- Several networks are trained on each set, not one; all starts and draws follow from the seed, where
  theirs came from the clock.
- Kappa and the agreement on shared errors are ours.
- *As published* has its 30 early-stopped and 520 subset-trained networks; sizes of subsets are spread evenly
  over its range (25 to 249 images per class) instead of drawn, and smaller ones are part of larger ones.
  Predictions are kept in one byte each: 64 MB for 10,000 test images.""",
    spec=AgreementTask,
    found=AgreementFound,
    presets=presets,
    pools=pools,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    options=options,
    pictures=pictures,
    smallest={
        "network": "convnet-4",
        "nets": 2,
        "early": 2,
        "iterations": 6,
        "sizes": (1, 2),
        "draws": 2,
        "epochs": 5,
        "gap": 0.5,
    },
)
