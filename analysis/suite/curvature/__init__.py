"""Curvature: how bent is the loss on each set along training on real data?"""

from __future__ import annotations

from analysis.contract import Analysis
from analysis.suite.curvature.figures import figures, headline, options, sentence, table
from analysis.suite.curvature.result import CurvatureFound
from analysis.suite.curvature.spec import CurvatureTask, cost, presets

ANALYSIS = Analysis(
    name="curvature",
    title="Curvature",
    icon=":material/show_chart:",
    order=70,
    question="How much is left to learn from each set, as training on real data goes on?",
    read="""\
- A network is trained on real images only. Along the way the loss is looked at on each set, at the same
  weights: the trace of its Hessian, the sum of all curvatures, stands for what that set could still
  change. High: much to learn from it. Near 0: the loss is flat, nothing more to learn.
- A set whose curve rises with the real one, peaks and then collapses below it holds what is learnt early,
  and little of what comes later.
- Marker: peak. Cross: from here to the end the curve is below the real one, at every moment that is
  measured: by a t test of the difference, at most 5 % of such findings false over all sets and moments
  (Benjamini-Hochberg). All sets have the same random probes, so much of their noise cancels.
- The test is over networks where there are several. Of one network it is over probes, and speaks of that
  network alone.
- The Fisher trace tells the same story from first derivatives alone. The density shows where the
  curvature is: most directions are flat, and a few large eigenvalues stand out.
- Eigenvalues are shown by rank only where estimates from several random starts, from fewer steps and from
  all starts together agree; a bar is by how much they differ. A single estimate may skip an eigenvalue.""",
    doubt="""\
- The trace is an estimate: look at the standard error, and take more probes if curves touch.
- It **can be negative**, above all in the first iterations: the loss of a network is no bowl, and there
  the directions that curve down may outweigh the others.
- A trace near 0 also comes from fitting a set perfectly: a few easy images are enough. It does not say that
  a set is bad.
- Curvature depends on how a network is scaled; compare sets at the same weights, not networks.
- Smoothing delays peaks and crossings. Look at the curves as measured, too.
- In the paper only two of four sets collapse. Distribution and gradient matching stay above the real curve
  to iteration 300: *distilled data holds only what is learnt early* is not shown for them.
- What varies is named under the figure: networks where there are several, else probes. The sets were made
  once, and all are measured at the same weights.""",
    paper="""\
Yang et al. 2024 (CIFAR-10, 10 images per class; traces, smoothed) see all curves rise together until
iteration 60. Peaks at 80 to 95: trajectory matching about 4,800, backpropagation 4,300, gradient matching
4,000, distribution matching 3,700, real data 2,200. At 300: real 1,800, backpropagation 440 and trajectory
matching 730, but distribution matching 2,300 and gradient matching 2,000, both still above real.""",
    differs="""\
- Their estimator, PyHessian 0.1, stops when the running mean hardly changes, and divides by that mean with
  its sign: where it is negative it stops after two probes, and elsewhere after a number that varies by
  chance. Here the number of probes is fixed, they are the same everywhere, and their error is shown.
- They have no eigenvalue, density or Fisher trace; these are ours.
- Their dotted line at iteration 60 was placed by hand; here peak and crossing have a definition.
- The factor .9 of the smoothing is per iteration; where only every tenth is measured it is .9^10.
- Every result holds how far its products are from those of a symmetric matrix, u.Hv against v.Hu: library
  norm layers can make them silently wrong.
- The real curve is of a class-balanced sample unless `real_images` is 0. *As published* has their network,
  batch, moments and all real images.""",
    spec=CurvatureTask,
    found=CurvatureFound,
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
        "iterations": 60,
        "every": 30,
        "real_images": 50,
        "probes": 3,
        "spectra": 2,
        "top": 2,
        "starts": 2,
        "steps": 4,
    },
)
