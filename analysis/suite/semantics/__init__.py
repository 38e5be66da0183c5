"""Semantics: does a single distilled image carry meaning beyond its class?"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.shared.loo_spec import loo_pools, loo_presets
from analysis.suite.semantics.figures import (
    figures,
    headline,
    options,
    pictures,
    sentence,
    table,
)
from analysis.suite.semantics.result import SemanticsFound
from analysis.suite.semantics.spec import SemanticsTask, cost

ANALYSIS = Analysis(
    name="semantics",
    title="Semantics",
    icon=":material/label:",
    order=85,
    question="Does a single distilled image carry meaning beyond its class?",
    read="""\
- For each distilled image: the test images *of its own class* that lose most when it is left out. If they
  are brighter, more slanted or otherwise unlike the rest of the class, the image has taught just that.
- *Lift* is the share of an attribute among these minus its share in the class. A *discovery* is a lift that
  survives a test over all images and attributes of the set, with a bounded share of false discoveries.
- Grey bars do the same with random test images of the class: what the test finds where nothing is.
- *Beyond class mates* ranks by what an image does that others of its class do not.""",
    doubt="""\
- Test images that are hard for every network move most whichever image is left out. Attributes of hard images
  then look like meaning of each image: compare with the ranking beyond class mates, where that is gone.
- With 2 images per class the rankings beyond class mates of the two are each other's reverse.
- Attributes are crude and hang together: thick strokes are bright. Not found does not mean not there.
- Attributes are of test images. They say what was taught, not what the distilled image looks like.
- The test treats attributes of an image as given and the ranking as random; several initialisations agree
  only so far (see the influence page).""",
    paper="""\
Yang et al. 2024 (Section 5) conclude that single distilled images carry semantic content beyond the class
label. They describe test images with a vision-language model.""",
    differs="""\
**This view is ours.** The model, its questions and the statistic behind the paper's conclusion are not
public, so nothing here repeats a published figure. In place of a model there are attributes computed from
pixels: brightness, edges, centre against border; slant and strokes for grey images; hue for colour ones. All
are cut at the median of the class. A table of your own is tested beside them. The tests are hypergeometric,
with the procedure of Benjamini & Hochberg 1995.""",
    spec=SemanticsTask,
    found=SemanticsFound,
    presets=loo_presets,  # so that networks are shared
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
    smallest={"network": "convnet-4", "inits": 2, "iterations": 30, "controls": 3},
)
