"""Barriers: do networks trained on a set end in the same valley as those trained on real images?"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.barriers.figures import figures, headline, options, sentence, table
from analysis.suite.barriers.result import BarriersFound
from analysis.suite.barriers.spec import BarriersTask, cost, pools, presets

ANALYSIS = Analysis(
    name="barriers",
    title="Barriers",
    icon=":material/landscape:",
    order=75,
    question="Do set-trained and real-trained networks end in the same valley?",
    read="""\
- Two trained networks are averaged weight by weight, in growing shares. Where loss on the way rises above
  the straight line between both ends is a barrier: the two lie in different valleys.
- Pairs: one trained on the set and one on real images from the same start; two trained on the set in another
  order of images; two from other starts.
- The measure are pairs trained on all real images, from one start and from two: hold every barrier against
  theirs.
- Units of a network can change places without changing it. With *units matched* they are put where both
  networks are most alike; what is left is a barrier for another reason.""",
    doubt="""\
- A straight line is one path of many: networks with a barrier between them may be joined by a bend.
- Barriers grow with the loss itself. Networks trained on few images have a high test loss; look at the error.
- A small set in four batches has little noise of order, so two trainings may just have stayed together.
- Small steps and short training keep networks in the valley of their start, whatever they are trained on;
  architectures and widths differ.
- A barrier is never below 0, so that small ones are a little too high.
- Matching finds a good order of units, not the best; a barrier that stays may be its fault.
- Pairs vary in start and order; each set was made once.""",
    paper="""\
Yang et al. 2024 do not ask this. McDermott and Parhi (2503.17905) study barriers in networks that were pruned
with distilled images, and find that stable ones exist within an unstable start.""",
    differs="""\
**This view is ours.** A barrier is the most above the straight line between both ends (Entezari et al. 2022);
the table also has the instability of Frankle et al. 2020, the most above the mean of both ends' errors. Units
are matched by weights (Ainsworth et al. 2023). Networks with batch norm are refused: statistics of networks
between two would have to be estimated anew. All trainings take one step size, with momentum .9.""",
    spec=BarriersTask,
    found=BarriersFound,
    presets=presets,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    pools=pools,
    options=options,
    smallest={"network": "convnet-4", "nets": 2, "iterations": 8, "epochs": 1, "points": 5},
)
