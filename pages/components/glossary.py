"""Terms of the field, each explained once: cards beside sentences and the Glossary page read this.

    st.markdown(glossary.marked("Ten images per class under one protocol."))

A marked term is a link that the keyboard reaches; the browser shows its card (`frame_terms.js`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A term: a sentence for its card, more for the page, and other words that mean it."""

    name: str
    short: str
    more: str = ""
    also: tuple[str, ...] = ()


TERMS = {
    "distillation": Term(
        "Dataset distillation",
        "Making a few synthetic examples on which a network learns almost what it learns on all real ones.",
        "The images are what is optimised; networks only judge them. Not to be confused with knowledge "
        "distillation, which trains a small network on a large one's answers.",
        ("distillation",),
    ),
    "ipc": Term(
        "IPC",
        "Images per class: how many synthetic images a set holds of each class.",
        "Sets of different IPC are not to be compared by accuracy alone: more images teach more.",
        ("images per class",),
    ),
    "protocol": Term(
        "Protocol",
        "How networks are trained on a set to judge it: optimiser, steps, augmentation, number of networks.",
        "The same set reaches different accuracies under different protocols, so figures are compared under "
        "one and the same.",
        ("protocols",),
    ),
    "class-mean": Term(
        "Class mean",
        "The average of all real images of a class: a baseline that costs nothing.",
        "With one image per class it is hard to beat on simple data.",
        ("class means",),
    ),
    "baseline": Term(
        "Baseline",
        "A set of the same size that takes no distillation, such as random real images.",
        "What a distilled set does not do better than its baselines, it need not be distilled for.",
        ("baselines",),
    ),
    "test-accuracy": Term(
        "Test accuracy",
        "The share of real images, never seen in training or distilling, that a network classifies rightly.",
    ),
    "umap": Term(
        "UMAP",
        "A map in the plane that keeps near what is near; distances across it mean little.",
        "Another seed or number of neighbours gives another map of the same points.",
    ),
    "kde": Term(
        "KDE",
        "Kernel density estimate: a smooth curve that says how often values occur.",
        "How smooth it is follows from its bandwidth, which is a choice.",
        ("kernel density estimate",),
    ),
    "kappa": Term(
        "Cohen's kappa",
        "How much two networks agree beyond chance: 1 is always, 0 what their accuracies make likely.",
        "",
        ("kappa",),
    ),
    "hessian": Term(
        "Hessian",
        "The matrix of second derivatives of a loss by a network's weights: how the loss bends.",
        "It has a row for every weight, so only products with it are computed.",
    ),
    "hessian-trace": Term(
        "Hessian trace",
        "The sum of a loss's second derivatives by each weight: one number for how curved it is.",
        "Estimated here by products with random signs (Hutchinson), with the spread of the estimate.",
        ("trace of the Hessian",),
    ),
    "eigenvalue": Term(
        "Eigenvalue",
        "Of a Hessian: how curved the loss is along one of its own directions.",
        "",
        ("eigenvalues",),
    ),
    "influence": Term(
        "Influence",
        "How much the loss on a test image grows when one distilled image is left out of training.",
        "Measured here by training again without each image, not by an approximation.",
    ),
    "meta-gradient": Term(
        "Meta-gradient",
        "The derivative of the loss after training by the images that were trained on, through every step.",
        "",
        ("backpropagation through time",),
    ),
    "gradient-matching": Term(
        "Gradient matching",
        "Making images on which a network's gradient points where it does on real ones.",
    ),
    "trajectory-matching": Term(
        "Trajectory matching",
        "Making images that lead a network's weights in a few steps where many steps on real images lead.",
    ),
    "distribution-matching": Term(
        "Distribution matching",
        "Making images whose features, in random networks, have the same mean as those of real images.",
    ),
    "soft-label": Term(
        "Soft label",
        "A share for every class in place of one class; learned, or taken from a teacher network.",
        "Much of a set's accuracy can come from its labels, so it is compared with random images that have "
        "such labels, too.",
        ("soft labels",),
    ),
    "zca": Term(
        "ZCA whitening",
        "A linear map after which pixels are uncorrelated and images look as alike as possible to before.",
        "",
        ("ZCA",),
    ),
    "clipped": Term(
        "Clipped",
        "Values outside of 0 to 1, which a screen cannot show and which are drawn black or white.",
    ),
    "leave-one-out": Term(
        "Leave-one-out",
        "Training again without one example, to see what that example was worth.",
    ),
    "standard-deviation": Term(
        "Standard deviation",
        "How far single figures lie from their mean; ± stands for it, with n, how many there are.",
        "",
        ("standard deviations",),
    ),
}
ANCHOR = "#term-"
# Not to be looked into: code, formulas, links with their text, HTML, directives, entities.
_CLOSED = re.compile(r"`[^`]*`|\$[^$]*\$|!?\[[^\]]*\](?:\([^)]*\))?|<[^>]*>|:[a-z-]+\[|&#?\w+;")


def _words() -> dict[str, tuple[str, str]]:
    """What can stand in a text, in small letters, to the id of its term and how it is written."""
    return {word.lower(): (i, word) for i, t in TERMS.items() for word in (t.name, *t.also)}


_WORDS = _words()
_FOUND = re.compile(
    rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(_WORDS, key=len, reverse=True)))})(?![\w-])",
    re.IGNORECASE,
)


def cards() -> dict[str, list[str]]:
    """Name and sentence of every term, by its id."""
    return {i: [term.name, term.short] for i, term in TERMS.items()}


def marked(text: str) -> str:
    """A Markdown text whose terms, each the first time, are links to their cards."""
    seen: set[str] = set()

    def mark(found: re.Match) -> str:
        word = found.group()
        term, written = _WORDS[word.lower()]
        if term in seen or (written.isupper() and word != written):
            return word
        seen.add(term)
        return f"[{word}]({ANCHOR}{term})"

    parts, at = [], 0
    for closed in _CLOSED.finditer(text):
        parts += [_FOUND.sub(mark, text[at : closed.start()]), closed.group()]
        at = closed.end()
    return "".join([*parts, _FOUND.sub(mark, text[at:])])
