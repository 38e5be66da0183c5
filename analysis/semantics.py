"""Semantics: does a single distilled image carry meaning beyond its class?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from analysis import _attributes, base, colours, drawing, significance
from analysis.base import (
    Analysis,
    AnalysisTask,
    Arrays,
    Chosen,
    Cost,
    Drawn,
    Option,
    Pictures,
    Result,
)
from analysis.pools import Counts
from analysis.shared.effects import CENTRED, RAW, centred
from analysis.shared.loo_spec import PRECISIONS, check_network, loo_pools, loo_presets
from ddcore.base import rng
from ddcore.base.errors import DataError, SpecError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as StaticFigure

    from ddcore.tasks.worker import Context

VIEWS = {RAW: "By influence", CENTRED: "By influence beyond class mates"}
EXAMPLES = 4  # pairs of image and attribute that are shown
BESIDE = 9  # test images beside each


@dataclass(frozen=True, kw_only=True)
class SemanticsTask(AnalysisTask):
    """Attributes of the `top` test images of its own class that each image helps most.

    At most a quarter of the class is taken. `fdr` is the share of false discoveries allowed
    (Benjamini-Hochberg over all images and attributes of a set). `controls` is how often the same is done
    with random test images of the class. `labels_csv` is the path of a table of your own: a first line with
    index and names of attributes, then for each test image its number from 0 and 0, 1 or numbers. A mark of
    its content is added.

    The retrained networks are those of the influence page: `network`, `inits` initialisations, `iterations`
    steps at step size `lr`, in single or double `precision`.
    """

    KIND: ClassVar[str] = "semantics"
    RUNNER: ClassVar[str] = "analysis.semantics:run"

    network: str = "convnet-16"
    inits: int = 3
    iterations: int = 300
    lr: float = 0.01
    precision: str = "single"
    top: int = 50
    fdr: float = 0.05
    controls: int = 100
    labels_csv: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.labels_csv, str):
            try:
                object.__setattr__(self, "labels_csv", _attributes.with_hash(self.labels_csv))
            except DataError as error:
                raise SpecError("labels_csv", self.labels_csv, str(error).rstrip(".")) from None
        super().__post_init__()

    def validate(self) -> None:
        """Check ranges and the network's name."""
        super().validate()
        check_network(self)
        self.require_range("inits", 1, 100)
        self.require_range("iterations", 1, 100_000)
        self.require_range("lr", 1e-8, 1e3)
        self.require_choice("precision", PRECISIONS)
        self.require_range("top", 2, 100_000)
        self.require_range("fdr", 1e-6, 0.5)
        self.require_range("controls", 1, 10_000)


def cost(spec: SemanticsTask, chosen: Chosen, counts: Counts) -> Cost:
    """Ranks, and a hypergeometric tail for each image, attribute and control."""
    attributes = 8 + (20 if spec.labels_csv else 0)
    pairs = float(sum(run.images for run in chosen.runs))
    tails = 2 * pairs * attributes * (spec.controls + 1)
    largest = max(run.images for run in chosen.runs) * counts.test
    return Cost(
        3e4 * tails + 40 * pairs * counts.test,
        memory=16.0 * spec.inits * largest,
        disk=8 * pairs * (attributes + spec.top) + 1e5,
    )


# --- computing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tested:
    """Of each image (row) and attribute: how many of the chosen have it, lift, and two-sided p-value.

    Lift is the share among the chosen minus the share in the class. `chosen` counts those whose attribute is
    known.
    """

    having: np.ndarray
    chosen: np.ndarray
    lift: np.ndarray
    p: np.ndarray


def run(context: Context) -> None:
    """Task `semantics`: attributes, tests and controls of every set."""
    spec: SemanticsTask = context.spec
    given = base.opened(context)
    data, labels = given.dataset, given.dataset.test_labels
    pixels = data.test_images.astype(np.float32) / 255
    columns = _attributes.computed(pixels, labels)
    if spec.labels_csv:
        columns |= _attributes.read_table(spec.labels_csv, len(labels), labels)
    names = list(columns)
    values = np.stack([columns[name] for name in names], 1)  # (N, attributes)
    arrays: Arrays = {}
    facts, shown = {}, {}
    for step, (key, task) in enumerate(zip(given.sets, given.pools)):
        context.progress(step, len(given.pools))
        own = given.sets[key].hard_labels
        mean = task.arrays()["influence"].astype(np.float32).mean(0)
        facts[key] = {"labels": own.tolist()}
        for view, influence in ((RAW, mean), (CENTRED, centred(mean, own))):
            chosen = top_of_class(influence, own, labels, spec.top)
            tested = attribute_tests(values, labels, own, chosen)
            found = significance.discoveries(tested.p, spec.fdr)
            arrays |= {
                f"lift.{view}.{key}": tested.lift.astype(np.float32),
                f"p.{view}.{key}": tested.p.astype(np.float32),
                f"found.{view}.{key}": found,
            }
            control = controls(context, values, labels, own, key)
            facts[key][view] = {
                "share": float(found.any(1).mean()),
                "pairs": int(found.sum()),
                "control": control,
            }
            examples, rows = _examples(tested, found, chosen, influence)
            facts[key][view]["examples"] = examples
            if examples:
                shown[f"beside.{view}.{key}"] = ("test", rows)
        arrays[f"pixels.{key}"] = given.sets[key].pixels()
    context.progress(len(given.pools), len(given.pools))
    result = {
        "sets": facts,
        "attributes": names,
        "own_table": len(names) - len(_attributes.computed(pixels[:1], labels[:1])),
        "tests": len(labels),
        "top": sizes(labels, spec.top),
        "fdr": spec.fdr,
        "controls": spec.controls,
        "inits": spec.inits,
        "network": given.pools[0].result()["network"],
        "pools": [task.key for task in given.pools],
    }
    base.save(context, given, result, arrays, shown)


def sizes(labels: np.ndarray, top: int) -> list[int]:
    """How many test images of each class are looked at: `top`, at most a quarter of the class."""
    return [max(2, min(top, int(n) // 4)) for n in np.bincount(labels)]


def top_of_class(
    influence: np.ndarray, own: np.ndarray, labels: np.ndarray, top: int
) -> list[np.ndarray]:
    """For each image the test images of its own class with the largest influence (M, N), best first."""
    few = sizes(labels, top)
    found = []
    for j, c in enumerate(own):
        members = np.flatnonzero(labels == c)
        order = np.argsort(-influence[j, members], kind="stable")
        found.append(members[order[: few[c]]])
    return found


def attribute_tests(
    values: np.ndarray, labels: np.ndarray, own: np.ndarray, chosen: list[np.ndarray]
) -> Tested:
    """Hypergeometric test of each attribute (N, A) among the test images chosen for each image.

    Under the hypothesis the chosen are a random part of the class: of those whose attribute is known, drawn
    without replacement. p is twice the smaller tail, at most 1. Attributes that are the same in the whole
    class give p = 1.
    """
    from scipy.stats import hypergeom

    known = np.isfinite(values)
    true = np.nan_to_num(values).astype(np.int64)
    classes = int(labels.max()) + 1
    inside = np.eye(classes, dtype=np.int64)[labels]  # (N, K)
    size, having = (inside.T @ known)[own], (inside.T @ true)[own]  # (M, A)
    drawn = np.stack([known[rows].sum(0) for rows in chosen])
    hits = np.stack([true[rows].sum(0) for rows in chosen])
    upper = hypergeom.sf(hits - 1, size, having, drawn)
    lower = hypergeom.cdf(hits, size, having, drawn)
    usable = (drawn > 0) & (having > 0) & (having < size)
    p = np.where(usable, np.minimum(1.0, 2 * np.minimum(upper, lower)), 1.0)
    lift = hits / np.maximum(drawn, 1) - having / np.maximum(size, 1)
    return Tested(hits, drawn, np.where(drawn > 0, lift, 0.0), p)


def controls(
    context: Context, values: np.ndarray, labels: np.ndarray, own: np.ndarray, key: str
) -> float:
    """Share of images with a discovery when the test images are drawn at random from their class; mean."""
    spec: SemanticsTask = context.spec
    few, generator = sizes(labels, spec.top), rng.numpy_generator(spec.seed, "control", key)
    members = [np.flatnonzero(labels == c) for c in range(len(few))]
    shares = []
    for _ in range(spec.controls):
        context.check_cancel()
        chosen = [generator.permutation(members[c])[: few[c]] for c in own]
        tested = attribute_tests(values, labels, own, chosen)
        shares.append(float(significance.discoveries(tested.p, spec.fdr).any(1).mean()))
    return float(np.mean(shares))


def _examples(
    tested: Tested, found: np.ndarray, chosen: list[np.ndarray], influence: np.ndarray
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The clearest discoveries of different images, and the test images beside them (a flat list)."""
    pairs = np.argwhere(found)
    pairs = pairs[np.argsort(tested.p[tuple(pairs.T)], kind="stable")]
    examples, rows, used = [], [], set()
    for j, a in pairs.tolist():
        if j in used or len(examples) == EXAMPLES:
            continue
        used.add(j)
        beside = chosen[j][:BESIDE]
        examples.append(
            {
                "image": j,
                "attribute": a,
                "lift": float(tested.lift[j, a]),
                "p": float(tested.p[j, a]),
                "values": influence[j, beside].tolist(),
            }
        )
        rows.append(beside)
    return examples, np.concatenate(rows) if rows else np.zeros(0, np.int64)


# --- showing --------------------------------------------------------------------------------------


def options(result: Result, picked: dict[str, str]) -> Iterator[Option]:
    """By which influence test images are ranked, and whose lifts are shown."""
    yield Option("view", "Test images", VIEWS)
    yield Option("set", "Lifts of", {r["key"]: r["label"] for r in result["runs"]})


def figures(result: Result, arrays: Arrays, picked: dict[str, str]) -> list[Drawn]:
    """Shares with a discovery beside the control; lifts of a set; which attributes are found."""
    view, key = picked["view"], picked["set"]
    run_ = next(r for r in result["runs"] if r["key"] == key)
    return [
        _shares(result, view),
        _lifts(result, arrays, run_, view),
        _attributes_found(result, arrays, view),
    ]


def _shares(result: Result, view: str) -> Drawn:
    figure = drawing.new_figure("", "images with a discovery", per_cent=True, scattermode="group")
    labels = [r["label"] for r in result["runs"]]
    looks = colours.styles([r["method"] for r in result["runs"]])
    facts = [result["sets"][r["key"]][view] for r in result["runs"]]
    figure.add_bar(
        x=labels,
        y=[f["share"] for f in facts],
        marker={"color": [look.colour for look in looks]},
        name="Most helped test images",
        hovertemplate="%{x}: %{y:.0%}<extra></extra>",
    )
    figure.add_bar(
        x=labels,
        y=[f["control"] for f in facts],
        marker={"color": colours.REAL},
        name="Random test images of the class",
        hovertemplate="%{x}, random: %{y:.1%}<extra></extra>",
    )
    figure.update_yaxes(range=[0, 1.02])
    words = "; ".join(
        f"{label} {100 * f['share']:.0f} % (random {100 * f['control']:.1f} %), {f['pairs']} pairs"
        for label, f in zip(labels, facts)
    )
    low, high = min(result["top"]), max(result["top"])
    top = f"{low}" if low == high else f"{low} to {high}"
    caption = (
        f"Share of distilled images whose {top} most helped test images of their own class differ from the "
        f"rest of the class in at least one of {len(result['attributes'])} attributes, at a false-discovery "
        f"rate of {result['fdr']:g}. {words}. Random: mean of {result['controls']} draws."
    )
    return Drawn("Images that mean more than their class", figure, caption)


def _numbered(result: Result, labels: list[int]) -> list[str]:
    """Every image of a set as its class and its number there: "3 no. 2"."""
    return [
        f"{result['class_names'][c]} no. {labels[: j + 1].count(c)}" for j, c in enumerate(labels)
    ]


def _lifts(result: Result, arrays: Arrays, run_: dict[str, Any], view: str) -> Drawn:
    lift, found = (arrays[f"{what}.{view}.{run_['key']}"] for what in ("lift", "found"))
    p, own = arrays[f"p.{view}.{run_['key']}"], result["sets"][run_["key"]]["labels"]
    names, most = result["attributes"], float(np.abs(lift).max()) or 1.0
    figure = drawing.new_figure("", "distilled image", height=480, legend=False)
    rows = _numbered(result, own)
    figure.add_heatmap(
        z=np.where(found, lift, np.nan),
        x=names,
        y=rows,
        zmin=-most,
        zmax=most,
        colorscale="RdBu",
        colorbar={"tickformat": "+.0%", "thickness": 12},
        hoverinfo="skip",
    )
    figure.add_heatmap(
        z=lift,
        x=names,
        y=rows,
        customdata=p,
        opacity=0,
        showscale=False,
        hovertemplate="%{y}, %{x}: %{z:+.0%}, p %{customdata:.1e}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", type="category", tickformat=None)
    figure.update_xaxes(type="category")
    caption = (
        f"{run_['label']}: share of an attribute among the most helped test images minus its share in the "
        f"class, where that is a discovery ({int(found.sum())} of {found.size} pairs). The largest is "
        f"{100 * most:.0f} points. Empty: not told from chance."
    )
    return Drawn("Which attribute, in which image", figure, caption)


def _attributes_found(result: Result, arrays: Arrays, view: str) -> Drawn:
    figure = drawing.new_figure(
        "", "images with this discovery", per_cent=True, scattermode="group"
    )
    looks = colours.styles([r["method"] for r in result["runs"]])
    best = []
    for run_, look in zip(result["runs"], looks):
        share = arrays[f"found.{view}.{run_['key']}"].mean(0)
        figure.add_scatter(
            x=result["attributes"],
            y=share,
            name=run_["label"],
            mode="markers",
            marker={"color": look.colour, "symbol": look.symbol, "size": 11},
            hovertemplate=f"{run_['label']}, %{{x}}: %{{y:.0%}}<extra></extra>",
        )
        top = int(share.argmax())
        if share[top] > 0:
            best.append(f"{run_['label']}: {result['attributes'][top]}, {100 * share[top]:.0f} %")
        else:
            best.append(f"{run_['label']}: none")
    caption = f"Share of the images of a set with a discovery, by attribute. Most often {'; '.join(best)}."
    return Drawn("Which attributes", figure, caption)


def static(result: Result, arrays: Arrays) -> StaticFigure:
    """Shares beside their controls, for both rankings; shares by attribute."""
    import pandas as pd
    import seaborn as sns

    figure, axes = drawing.panels(1, 3, width=4.0)
    for ax, (view, title) in zip(axes[0], VIEWS.items()):
        rows = [
            {"label": r["label"], "share": result["sets"][r["key"]][view][what], "test images": of}
            for r in result["runs"]
            for what, of in (("share", "most helped"), ("control", "random"))
        ]
        sns.barplot(
            pd.DataFrame(rows),
            x="label",
            y="share",
            hue="test images",
            palette=["#0072B2", "#B8BCC0"],
            edgecolor="black",
            ax=ax,
        )
        ax.set(xlabel="", ylabel="Images with a discovery", ylim=(0, 1.02), title=title)
        ax.tick_params(axis="x", labelsize=6, rotation=20)
        ax.legend(frameon=False, fontsize=7)
    found = np.stack([arrays[f"found.{RAW}.{r['key']}"].mean(0) for r in result["runs"]])
    labels = [r["label"] for r in result["runs"]]
    ax = axes[0][2]
    sns.heatmap(
        found.T,
        ax=ax,
        vmin=0,
        vmax=1,
        cmap="viridis",
        xticklabels=labels,
        yticklabels=result["attributes"],
    )
    ax.tick_params(labelsize=6)
    ax.set(title="Share of images, by influence")
    sns.despine(figure)
    return figure


def table(result: Result, arrays: Arrays) -> list[dict[str, Any]]:
    """One row per set, ranking, distilled image and attribute."""
    found = []
    for run_ in result["runs"]:
        key = run_["key"]
        own = result["sets"][key]["labels"]
        for view in VIEWS:
            lift, p, hit = (arrays[f"{what}.{view}.{key}"] for what in ("lift", "p", "found"))
            for j, c in enumerate(own):
                for a, name in enumerate(result["attributes"]):
                    found.append(
                        {
                            "set": key,
                            "label": run_["label"],
                            "ranked": view,
                            "image": j,
                            "class": result["class_names"][c],
                            "attribute": name,
                            "lift": float(lift[j, a]),
                            "p": float(p[j, a]),
                            "discovery": int(hit[j, a]),
                        }
                    )
    return found


def sentence(result: Result) -> str:
    """Shares with a discovery, in both rankings, beside the control."""
    parts = []
    for run_ in result["runs"]:
        raw, beyond = (result["sets"][run_["key"]][view] for view in (RAW, CENTRED))
        parts.append(
            f"of {run_['label']} **{100 * raw['share']:.0f} %** (random {100 * raw['control']:.1f} %; beyond "
            f"class mates {100 * beyond['share']:.0f} %)"
        )
    return (
        "Images whose most helped test images of their own class share some attribute more, or less, than "
        f"the class does: {'; '.join(parts)}."
    )


def pictures(result: Result, arrays: Arrays) -> list[Pictures]:
    """The clearest discoveries: the image, then the test images of its class that it helps most."""
    found = []
    for run_ in result["runs"]:
        key = run_["key"]
        examples = result["sets"][key][RAW]["examples"]
        beside = arrays.get(f"beside.{RAW}.{key}")
        if beside is None:
            continue
        start, names = 0, _numbered(result, result["sets"][key]["labels"])
        for one in examples:
            count = len(one["values"])
            real = beside[start : start + count].astype(np.float32) / 255
            start += count
            image = names[one["image"]]
            name = result["attributes"][one["attribute"]]
            less = "less" if one["lift"] < 0 else "more"
            title = (
                f"{run_['label']}, {image}: {less} often “{name}” by {100 * abs(one['lift']):.0f} points "
                f"(p = {one['p']:.0e})"
            )
            pixels = np.concatenate([arrays[f"pixels.{key}"][one["image"]][None], real])
            labels = ["distilled", *(f"{v:+.2f}" for v in one["values"])]
            found.append(Pictures(title, pixels, labels))
    return found


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
    presets=loo_presets,  # so that networks are shared
    pools=loo_pools,
    cost=cost,
    figures=figures,
    static=static,
    table=table,
    sentence=sentence,
    options=options,
    pictures=pictures,
    least_ipc=2,
    least_why="without the only image of a class the class itself would be missing",
    smallest={"network": "convnet-4", "inits": 2, "iterations": 30, "controls": 3},
)
