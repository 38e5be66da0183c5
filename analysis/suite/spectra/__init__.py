"""Spectra: on which spatial frequencies do images live, and which do networks use?"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.spectra.figures import figures, headline, options, pictures, sentence, table
from analysis.suite.spectra.result import SpectraFound
from analysis.suite.spectra.spec import SpectraTask, cost, pools, presets

ANALYSIS = Analysis(
    name="spectra",
    title="Spectra",
    icon=":material/graphic_eq:",
    order=32,
    question="Which spatial frequencies do distilled images hold, and which do networks use?",
    read="""\
- The curve is a set's power by radial frequency: on the left broad shapes, on the right fine detail. Real
  images fall off; a set that lies above them on the right holds fine detail that real images lack.
- A band is removed from all images and the rest is trained on: the points lost are what only this band
  teaches. Removed from test images it says what a network trained on whole images looks at.
- Removed from both, nothing is unfamiliar: what is lost then is information.
- Dimensions say in how many directions images differ: few if they are much alike.""",
    doubt="""\
- A network can use what it is given: a band that costs nothing may be used and be replaced by others.
- Removed on one side only, a band costs accuracy because images look unfamiliar, too. Compare with *both*.
- The last band holds the diagonals as well, so most frequencies; the mean of an image is never removed.
- Images without a band may leave the range of pixels, as distilled ones do.
- Networks vary, and with them random images; each set was made once.
- Few images hide dimensions: compare with as many random images, not with all. Nearest-neighbour estimates
  ask for 50 images; they stay too low where there are many dimensions, and where classes of few images lie
  apart.""",
    paper="""\
Yang et al. 2024 do not ask this. Bo et al. (ICLR 2026) call distribution and gradient matching low-pass,
trajectory matching and FRePo high-pass, by eigenvalues of features rather than frequencies of pixels.""",
    differs="""\
**This view is ours.** Frequencies are those of pixels, also of whitened sets. Networks are trained as by Yang
et al. (full-batch steps at step size .01 with momentum .9); network i starts from the same weights whatever
is removed, so losses are paired. Dimensions: TwoNN (Facco et al. 2017), the estimate of Levina and Bickel
2004, and the participation ratio of principal components.""",
    spec=SpectraTask,
    found=SpectraFound,
    presets=presets,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    pools=pools,
    options=options,
    pictures=pictures,
    smallest={"network": "convnet-4", "nets": 2, "iterations": 10, "epochs": 1},
)
