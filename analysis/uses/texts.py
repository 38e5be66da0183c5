"""What the uses are, how to read and how to doubt their figures: for pages, report and documentation."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.uses.graphs.table import SUBJECTS
from ddcore.graphs.measure_spec import GRAPH_BASELINES


@dataclass(frozen=True)
class UseTexts:
    """A question, and three texts in Markdown."""

    question: str
    read: str
    doubt: str
    literature: str


CONTINUAL = UseTexts(
    question="Does a distilled memory keep what is learned?",
    read="""Classes arrive in steps. After each, networks may use only what is kept of earlier classes.
A line is the accuracy on all classes so far, its band a 95 % interval over orders of the classes.
*Nothing kept* (networks trained on with the new images only) is the floor, *everything kept* the
ceiling. All memories meet the same orders, so differences are paired order by order. *Forgetting* has
to be read beside that of the ceiling: with more classes there is more to confuse.""",
    doubt="""- **Memories are small files.** A distilled image is stored in 32 bits per value, a real
one in 8: compare at equal bytes, where there are four times as many real ones.
- **What is repeated.** Orders share what they can unless a task is *repeated*: then each order's memory
is made anew with a seed of its own (so all that are shipped), and intervals hold what distilling leaves
to chance, too.
- **The networks know how many classes will come**, and which images are held out was drawn once for the
whole dataset; nothing else of later classes can reach a step.
- **Pixels are scaled from -1 to 1**, since mean and deviation of the dataset are those of classes to
come. Accuracies differ slightly from those of sets made with the usual normalisation.
- **Short distillations.** Shipped sets that couple classes were distilled for few iterations; the set
of all classes at once beside them has the same number of iterations.""",
    literature="""Zhao & Bilen 2021 (Distribution Matching) train fresh networks on the memory alone
after every step, over five orders of CIFAR-100, with 20 images per class; Deng & Russakovsky 2022
distil memories in the same setting. That way of judging a memory is GDumb (Prabhu et al. 2020). Their
figures are not repeated here.""",
)
SEARCH = UseTexts(
    question="Does a small set rank networks as full training does?",
    read="""Each dot is an architecture: to the right, the better it does on validation images after
training on the small set; upwards, the better on test images after training on everything. ρ is
Spearman's rank correlation with a 95 % interval. *Regret* is what a searcher loses: the best network's
accuracy minus that of the chosen one, both trained fully, beside what a blind choice loses on average.""",
    doubt="""- **ρ over all networks is cheap** where some cannot be trained at all: any proxy finds
those. Look at ρ over the trainable ones, and over the proxy's own best fifth, where the choice is made.
- **A correlation is no gain.** What counts is the regret, beside a random choice and beside *early
stopping*, which costs as many operations as a set and needs no distilling.
- **The truth has noise of its own.** Trained twice, networks do not rank the same; the ceiling says
what an errorless ranking would reach.
- **Parameters rank, too.** A proxy that does no better than counting them has found nothing else.
- **The set's own network is in the space**, or near: sets made in one architecture may favour it.""",
    literature="""The preset `dc` are the 720 ConvNets that the code of Zhao et al. 2021 (Dataset
Condensation) can name; Such et al. 2020 (Generative Teaching Networks) search with sets made for that
purpose. A correlation over few networks says little: with five, even ρ = 0.9 is not significant.""",
)
_BASELINES = "\n".join(f"- *{SUBJECTS[name]}*: {about}." for name, about in GRAPH_BASELINES.items())
GRAPHS = UseTexts(
    question="How small can a graph be?",
    read=f"""
- *Links*: nodes stand in rings of their classes, wherever the sliders are; coloured links are within a class,
  grey ones between classes, heavier ones are stronger.
- *Map*: what two steps of propagation make of a node's features (P²X), in the two directions in which the
  real nodes differ most. Diamonds are condensed nodes.
- *Best validation* takes the weights of the look with the best accuracy on validation nodes, as published;
  *last epoch* uses no validation label.

{_BASELINES}
""",
    doubt="""
- The first column chooses among looks on validation nodes, which outnumber the training labels: compare the
  second.
- The class mean of P²X costs nothing and has no edges. What does not beat it has gained nothing by
  distilling.
- Features are dense real numbers here and few ones in the real graph: fewer nodes are not fewer bytes.
- P²X of a labelled node contains its unlabelled neighbours, test nodes among them; so does every method here.
- ± is the spread over networks or seeds, not over other splits of the graph.
""",
    literature="""Jin et al. 2022 (Graph Condensation for Graph Neural Networks) match gradients of a linear
network; published figures are theirs, at the look with the best validation accuracy.""",
)
REGIMES = UseTexts(
    question="Do random images match distilled sets once labels are soft?",
    read="""With each seed everything is made anew: sets, teacher, random images, networks. A figure is
the mean over seeds, ± their standard deviation. Differences to random images are paired seed by seed; the
claim is *refuted* where the 95 % interval of a set's gain lies above zero.""",
    doubt="""- **Five seeds see large differences only**: *not refuted* does not say that images do not
matter.
- **Short distillations, small networks**: another method may gain more.
- Intervals are not corrected for their number.
- Batches are mixed in all regimes alike, step size and length are the same.""",
    literature="""Qin et al. (NeurIPS 2024) and Dey et al. (CVPR 2026) find on large images that with soft
labels random images come near distilled sets or match them. Their figures are not repeated here.""",
)
