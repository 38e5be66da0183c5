"""Transfer: do distilled sets work for networks they were not made with? Other architectures and widths."""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.transfer.figures import figures, headline, sentence, table
from analysis.suite.transfer.result import TransferFound
from analysis.suite.transfer.spec import TransferTask, cost, presets

ANALYSIS = Analysis(
    name="transfer",
    title="Transfer",
    icon=":material/swap_horiz:",
    order=95,
    question="Do distilled sets work for networks they were not made with?",
    read="""\
- Networks of several kinds are trained on each set in one plain way (t300), and tested on real images. Beside
  them are random real images, as many, drawn anew for every network, and means of parts of each class.
- A set that holds what a task needs helps every network. One that is cut to its own network loses its lead
  over random real images on others; the table of gains shows it, with the network a set was made with in
  brackets.
- Widths are the same test in small steps: the same ConvNet with fewer or more channels.""",
    doubt="""\
- One step size for all: a network that t300 trains badly says little of the sets. Look at what random real
  images reach on it.
- Class means cost nothing. A set that does not beat them elsewhere has not carried anything over.
- A share of a small gain is uncertain: shares are given only where a gain was shown, by a t test over
  networks, paired with random real images (at most 5 % of such findings false over all sets).
- Networks vary, and with them the random real images; each set was made once.
- Sets with learned step sizes, or made for fixed starting weights, are used here without them.
- Widths and architectures were not chosen at random: other ones may rank the sets otherwise.""",
    paper="""\
Yang et al. 2024 look at distilled data through networks of the kind it was made with, and limit what it can
stand in for to the standard evaluation setting. They show no such comparison in the part that can be read
here.""",
    differs="""\
**This view is ours**: the usual table of papers on dataset distillation, with the training of Yang et al.
(300 full-batch steps at step size .01 with momentum .9, no weight decay or augmentation) for every set and
every network. Network i starts from the same weights for all sets, so gains are paired. *Quick* takes 100
steps where there are many images.""",
    spec=TransferTask,
    found=TransferFound,
    presets=presets,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    smallest={"architectures": ("mlp-8",), "widths": (4, 6), "nets": 2, "iterations": 5},
)
