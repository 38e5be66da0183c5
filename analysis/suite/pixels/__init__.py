"""Pixel density: are the pixel values of distilled images distributed as those of real ones?"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.pixels.figures import figures, headline, options, sentence, table
from analysis.suite.pixels.result import PixelsFound
from analysis.suite.pixels.spec import PixelsTask, cost, presets

ANALYSIS = Analysis(
    name="pixels",
    title="Pixel density",
    icon=":material/area_chart:",
    order=30,
    question="Are distilled pixels distributed like real ones?",
    read="""\
- A curve is the share of pixel values near each brightness, smoothed; all channels together unless
  you choose one. 0 is black and 1 is white in a real image.
- The bars below are exact: smallest and largest value before any clamping, with the share outside 0..1.
- Choose one image of a class to repeat the paper's figure, or whole sets for all images at once.""",
    doubt="""\
- Smoothing carries mass beyond 0 and 1 even for real images: trust the bars, not the tails.
- One image says little: another of the same class may look different. Whole sets are the safer view.
- Sets that start from real images keep much of their distribution; that is a choice of the method's
  start, not a result of it.
- An 8-bit file, as every contact sheet, cannot show values outside 0..1: of a set opened from one, 0 % lie
  there by necessity. The sentence says so.
- Pixels compared here are those a network sees, taken back to 0..1. A network does not mind values that a
  screen cannot show.""",
    paper="""\
Yang et al. 2024 (Fig. 3, left) compare one airplane image each: the real one lies inside 0..1 with
one dark and one bright mode; the images of distribution and of trajectory matching have other modes and mass
below 0 and above 1. They conclude that distilled data leaves the valid range of pixels, so it is unlike
real data.""",
    differs="""\
The paper shows three hand-picked images. Here any image can be chosen, whole sets can be compared,
and smallest value, largest value and share outside are counted exactly rather than read off a smoothed
curve.""",
    spec=PixelsTask,
    found=PixelsFound,
    presets=presets,
    cost=cost,
    figures=figures,
    table=table,
    headline=headline,
    sentence=sentence,
    options=options,
    smallest={"real_images": 2},
)
