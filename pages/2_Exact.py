"""Exact distillation: the theorem of Chen et al. 2024 to play with, on digits."""

from __future__ import annotations

import dataclasses

import streamlit as st

from analysis.printed import provenance
from ddcore.base.foreign_text import plain
from ddcore.data.lookup import resolve
from ddcore.data.registry import datasets
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.tasks.store import Task
from pages.components import exact_views, runs, shell, task_panel, views

THEOREM = """
A ridge regression on fixed features is one matrix of weights **W**: ten rows, one for each class. It was
computed from more than a thousand training images, but it has only ten rows. So **ten images with labels
can carry it**: solve for the features at which training gives back W, and then for images that have these
features.

- **From the weights to features.** Training on a set multiplies its labels by the (regularised)
  pseudo-inverse of its features. Ask for the pseudo-inverse that gives W; invert that once more; these are
  the features.
- **From features to images.** Every feature vector must have an image: true of pixels themselves, of random
  networks that never widen and whose activation can be undone, of Fourier features no more than pixels.
- **How many.** As many images as W has rank. Of more, the rest is free: noise, or near to real images.
"""
READ = """
- **exact** means: the weights were computed again from the images alone, by least squares through the same
  features, and differ by rounding. The number beside it is that difference.
- The models agree on *every* image there could be, also on noise, since they are the same function.
- Images show the pattern a linear model looks for, or static: they need not look like digits.
"""
DOUBT = """
- Where it is exact, it is so for *one* model with *these* features, and this model is weaker than a
  network: compare the ceilings above. A network trained on these images learns little (see Evaluate with
  protocol quick).
- It needs 64-bit numbers. As a PNG the set is no longer exact, as the table says.
- Started from real images the set *shows* them. With as many images as features they stay as they are and
  only labels change: that is no privacy.
"""
PAPER = """
Chen, Huang & Weng (NeurIPS 2024) prove for linear ridge regression, and for kernel ridge regression with
surjective features, that one image per class is enough, give the construction used here, and report it to
be up to 15,840 times faster than KIP on CIFAR-100.
"""


def main() -> None:
    """The whole page."""
    st.title("Ten images that carry a whole model", anchor=False)
    left, right = st.columns([6, 5], gap="large")
    with left:
        example()
    with right:
        st.markdown(
            "Ten images from which a model is learned again that was trained on all data: where theory "
            "allows, not nearly but to the last digit, and without any optimisation. Whether it is so is "
            "measured."
        )
        with st.expander("The theorem in plain words", icon=":material/school:", key="exact.why"):
            st.markdown(THEOREM)
    st.header("Try it", anchor=False)
    experiment()
    st.header("Beside gradient descent", anchor=False)
    beside_kip()
    notes()


def example() -> None:
    """A finished run, so that there is something to see before the first click."""
    found = [t for t in shell.store().tasks("distill") if _is_example(t)]
    if not found:
        return
    named = st.query_params.get(shell.RUN, "")
    newest = max(found, key=lambda t: t.status().get("finished", 0))
    task = next((t for t in found if t.key == named), newest)
    views.take(shell.RUN, task.key)
    facts = task.result()["findings"]
    name = runs.data_title(task.document()["spec"]["data"])
    from pages.components import evolution, grid, sheet

    made = evolution.made_by(task)
    pixels = made.pixels()
    grid.show(
        grid.by_class(pixels, made.hard_labels, made.class_names, mode="minmax"),
        key="exact.example",
        label="Constructed images",
        size=96,
        note=sheet.colours(pixels, "minmax"),
    )
    exact_views.verdict(facts["weight_error"], facts["exact"])
    st.markdown(
        f"A run on {plain(name)}. Test accuracy of both models: "
        f"**{100 * facts['whole_accuracy']:.1f} %** from "
        f"{facts['train_images']:,} images, **{100 * facts['distilled_accuracy']:.1f} %** from "
        f"{facts['points']}."
    )
    shell.link("pages/4_Images.py", "Its images", icon=":material/grid_view:", run=task.key)


def _is_example(task: Task) -> bool:
    spec = runs.spec_of(task)
    return task.opens() and spec["method"] == "krr-exact" and spec["ipc"] == 1


def experiment() -> None:
    """Sliders that recompute at once; starts on request, since it loads the numerical library."""
    spec = resolve("digits")
    st.caption(
        f"{datasets()['digits'].title}: 8 × 8 pixels, ten classes. Everything is recomputed with each "
        "change, in a few milliseconds. Larger data take a run:"
    )
    shell.link(
        "pages/2_Distil.py", "Distil in closed form", icon=":material/science:", method="krr-exact"
    )
    decoded = task_panel.ensure(
        dataset_task(spec), key="exact.decode", label="Read the images", estimate="a second"
    )
    if decoded is None:
        return
    live = st.query_params.get("live") == "1"
    if not live:
        st.button(
            "Start the experiment",
            type="primary",
            icon=":material/play_arrow:",
            on_click=lambda: st.query_params.update(live="1"),
            key="exact.start",
        )
        return
    st.fragment(laboratory)(decoded, spec)


def laboratory(decoded: Task, spec: DataSpec) -> None:
    """Controls and outcome; reruns on its own."""
    with shell.boundary():
        chosen = exact_views.controls()
        lab = exact_views.lab(decoded, spec, chosen.kernel)
        names = list(decoded.result()["class_names"])
        trial, found = exact_views.run(lab, chosen.trial)
        exact_views.outcome(found, names)
        st.subheader("What breaks it", anchor=False)
        left, right = st.columns([5, 4], gap="large")
        with left:
            from analysis.single.exact_lab import ERROR_POINTS

            errors = {s: lab.errors(dataclasses.replace(trial, start=s)) for s in ("noise", "real")}
            rank = found.diagnostics.rank_weights if found.diagnostics else 10
            told = f"Closed form on {spec.name}, {exact_views.TITLES[chosen.kernel.kind].lower()}"
            exact_views.error_curve(errors, ERROR_POINTS, rank, provenance.line([told]))
        with right:
            st.markdown(BREAKS)


BREAKS = """
- **Too few images.** Fewer than the rank of the model (10 here) cannot carry it: the error falls off a
  cliff at 10, or at 11 for features that lie beside the origin.
- **λ_S above its bound.** Choose 1.01 × on the slider: it is refused.
- **Features wider than the image.** Choose Fourier features, 128 of them: no image has the features that
  are needed.
- **Rounding.** 8-bit images in the table above: what a PNG keeps is not exact.
"""


def beside_kip() -> None:
    """The race as a task, with the ceilings."""
    from analysis.single.race import RaceTask

    task = task_panel.ensure(
        RaceTask(data=resolve("digits")),
        key="exact.race.task",
        label="Run both",
        why="The closed form, then kernel inducing points by gradient descent on the same features, in one "
        "process.",
        estimate="some 20 s on two processor cores",
    )
    if task is None:
        return
    exact_views.race(task)
    st.subheader("What each model can reach at most", anchor=False)
    exact_views.ceilings(task.result()["ceilings"])
    st.caption(
        "Accuracies of sets made for different kernels are not comparable: a set can be exact for a model "
        f"that is weak. Ridge chosen on validation data. {exact_views.ALL_DATA}"
    )


def notes() -> None:
    """How to read it, how to doubt it, what the paper says."""
    for column, (title, text) in zip(
        st.columns(3, gap="large"),
        (("How to read it", READ), ("How to doubt it", DOUBT), ("What the paper found", PAPER)),
    ):
        with column, st.container(border=True, height="stretch"):
            st.markdown(f"**{title}**\n{text}")


with shell.page(
    "Exact",
    section="Make",
    icon=":material/functions:",
    about="Ten images that carry a whole model",
):
    main()
