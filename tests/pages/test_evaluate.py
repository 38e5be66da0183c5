"""The Evaluate page: figures as stored, what they say, and which evaluations the form describes."""

from __future__ import annotations

import csv
import io

import pytest

from ddcore.data.spec import DataSpec
from ddcore.evaluation_spec import BASELINES, WHOLE, default_evaluation
from ddcore.methods.spec import make_spec
from ddcore.nets.architectures import NetSpec
from ddcore.worker import Context
from pages.components import evaluation_form, evaluation_views
from tests.pages.fakes import SHAPE, done, evaluated, put, spec, text

PAGE = "5_Evaluate.py"


def in_link(app, name: str) -> str:
    """A query parameter of the page's address."""
    return "".join(app.query_params[name])


def row(subject: str, mean: float, arch: str, std: float = 0.02, n: int = 2, **more) -> dict:
    """A row as an evaluation stores it."""
    values = [mean - std, mean + std] if n == 2 else [mean] * n
    stored = {"subject": subject, "arch": arch, "key": "0" * 16, "mean": mean, "std": std, "n": n}
    return {**stored, "accuracies": values, "losses": [1.0] * n, "step_size": None, **more}


def measured(store, run, rows: list[dict], **changes):
    """A finished evaluation with these rows."""
    wanted = default_evaluation(run.key, run, **changes)
    task = store.create(wanted)
    protocol = wanted.protocol.to_dict()
    Context(store, task, wanted, "cpu").save_result({"rows": rows, "protocol": protocol})
    task.finish()
    return task


def three(arch: str, own: float, random: float, mean: float) -> list[dict]:
    """The usual rows."""
    figures = {"distilled": own, "random": random, "class_mean": mean}
    return [row(name, value, arch) for name, value in figures.items()]


# --- states ---------------------------------------------------------------------------------------


def test_empty_says_what_to_do(visit):
    assert "no finished run yet" in text(visit(PAGE))


@pytest.mark.parametrize("run", ["../../etc/passwd", "0123456789abcdef", "<b>x</b>"])
def test_a_bad_link_is_no_exception(visit, store, run):
    done(store)
    visit(PAGE, run=run, protocol="<b>", archs="x,,y", baselines="random,<i>", nets="0")


def test_ready_shows_the_stored_figures(visit, store):
    task = done(store)
    evaluated(store, task.spec())
    app = visit(PAGE, run=task.key)
    shown = text(app)
    assert "81.2 ± 2.0 % (n = 2)" in shown
    assert "+17.8 points** over random real images" in shown
    assert "| Class means | 79.9 ± 2.0 % (n = 2) | +1.3 points |" in shown
    assert len(app.get("plotly_chart")) == 1
    assert "How to doubt it" in shown
    assert "smaller than the spread" in app.warning[0].value


def test_not_beating_the_class_mean_is_said(visit, store):
    task = done(store)
    run = task.spec()
    measured(store, run, three(run.net.label(), 0.70, 0.60, 0.75))
    app = visit(PAGE, run=task.key)
    assert "does not beat class means" in app.warning[0].value
    assert "-5.0 points** over class means" in text(app)


def test_a_clear_lead_needs_no_warning(visit, store):
    task = done(store)
    run = task.spec()
    measured(store, run, three(run.net.label(), 0.90, 0.60, 0.75))
    assert not visit(PAGE, run=task.key).warning


def test_missing_is_estimated_and_submitted(visit, store):
    task = done(store)
    app = visit(PAGE, run=task.key)
    assert "It will take about" in text(app)
    app.button(key="evaluate.task.start").click().run()
    assert not app.exception
    assert store.task(default_evaluation(task.key, task.spec())).status()["state"] == "queued"


def test_running_shows_its_progress(visit, store, alive):
    task = done(store)
    wanted = default_evaluation(task.key, task.spec())
    running = put(store, wanted, "running", step=1, total=3)
    alive(running)
    assert "Stop" in [b.label for b in visit(PAGE, run=task.key).button]


# --- choices --------------------------------------------------------------------------------------


def test_the_link_chooses_what_is_measured(visit, store):
    task = done(store)
    app = visit(
        PAGE, run=task.key, protocol="t300", nets="3", archs="convnet,mlp", baselines="kmeans,whole"
    )
    app.button(key="evaluate.task.start").click().run()
    found = next(store.tasks("evaluate")).spec()
    assert (found.protocol.name, found.nets) == ("t300", 3)
    assert [net.arch for net in found.archs] == ["convnet", "mlp"]
    assert found.baselines == ("random", "class_mean", "kmeans", "whole")


def test_choices_end_up_in_the_link(visit, store):
    app = visit(PAGE, run=done(store).key)
    app.multiselect(key="several.archs").set_value(["convnet", "mlp"]).run()
    assert in_link(app, "archs") == "convnet,mlp"
    app.multiselect(key="several.archs").set_value([]).run()
    assert "archs" not in app.query_params
    app.number_input(key="evaluate.nets").set_value(4).run()
    assert in_link(app, "nets") == "4"
    app.selectbox(key="choice.protocol").set_value("dc").run()
    assert in_link(app, "protocol") == "dc"
    assert not app.exception


def test_networks_that_do_not_fit_say_why():
    given = evaluation_form.options(spec(), SHAPE, 10)
    assert "lenet" not in given.nets
    assert any("LeNet" in s and "12 × 12 pixels" in s for s in given.unfit)
    assert given.nets["resnet18"].width == 16  # no wider than the run's own network
    assert "lenet" in evaluation_form.options(spec(), (1, 28, 28), 10).nets


def test_ordered_protocols_need_learned_step_sizes():
    assert "native-2018" not in evaluation_form.protocols(spec())
    ordered = make_spec("dd2018", DataSpec(), SHAPE)
    assert "native-2018" in evaluation_form.protocols(ordered)
    given = evaluation_form.options(ordered, SHAPE, 10)
    assert given.nets["resnet18"].norm == "instance"


def test_no_choice_is_the_runs_own_evaluation():
    run = spec()
    given = evaluation_form.options(run, SHAPE, 10)
    own = evaluation_form.evaluation(given, run.protocol.name, None, [run.net.arch], [])
    assert own == default_evaluation(run.key, run)
    assert evaluation_form.parameters(given, own) == {}
    everything = default_evaluation(run.key, run, baselines=(*BASELINES, WHOLE))
    extra = ",".join([*[b for b in BASELINES if b not in evaluation_form.ALWAYS], WHOLE])
    assert evaluation_form.parameters(given, everything) == {"baselines": extra}
    other = default_evaluation(run.key, run, archs=(NetSpec(arch="convnet", width=7),))
    assert evaluation_form.parameters(given, other) is None


def test_other_evaluations_are_linked(visit, store):
    task = done(store)
    run = task.spec()
    evaluated(store, run)
    measured(store, run, three(run.net.label(), 0.9, 0.6, 0.7), nets=3)
    assert [s.value for s in visit(PAGE, run=task.key).subheader][-1] == "Also measured"


# --- several networks, known initialisations, files -----------------------------------------------


def test_matrix_of_architectures(visit, store):
    task = done(store)
    run = task.spec()
    mlp = evaluation_form.options(run, SHAPE, 10).nets["mlp"]
    rows = [*three(run.net.label(), 0.9, 0.6, 0.7), *three(mlp.label(), 0.5, 0.61, 0.4)]
    measured(store, run, rows, archs=(run.net, mlp))
    link = {"run": task.key, "archs": "convnet,mlp"}
    shown = text(visit(PAGE, **link))
    assert f"| Set | {run.net.label()} (its own) | {mlp.label()} |" in shown
    assert "| Random real images | 60.0 ± 2.0 % (n = 2) | 61.0 ± 2.0 % (n = 2) |" in shown
    app = visit(PAGE, **link, arch=mlp.label())
    assert "does not beat random real images" in app.warning[0].value


def test_a_known_initialisation_is_contrasted_with_others(visit, store):
    run = make_spec("dd2018", DataSpec(), SHAPE, settings=[("setting", "fixed")])
    task = done(store, run)
    arch = run.net.label()
    rows = [
        row("distilled", 0.79, arch, std=0.0, n=1),
        row("other_inits", 0.39, arch),
        row("random", 0.48, arch, step_size="learned"),
        row("class_mean", 0.66, arch, std=0.0, n=1, step_size=0.3),
    ]
    measured(store, run, rows)
    app = visit(PAGE, run=task.key)
    assert "79.0 % (n = 1)" in app.info[0].value
    assert "39.0 ± 2.0 % (n = 2), 40.0 points less" in app.info[0].value
    assert "| Class means | 66.0 % (n = 1) | +13.0 points | 0.3 |" in text(app)


def test_a_known_initialisation_under_another_protocol(visit, store):
    run = make_spec("dd2018", DataSpec(), SHAPE, settings=[("setting", "fixed")])
    task = done(store, run)
    quick = evaluation_form.protocols(run)["quick"]
    measured(store, run, three(run.net.label(), 0.3, 0.6, 0.7), protocol=quick, nets=quick.nets)
    app = visit(PAGE, run=task.key, protocol="quick")
    assert "for which the set was not made" in app.info[0].value


def test_csv_has_every_network(store):
    task = evaluated(store, done(store).spec())
    found = list(csv.DictReader(io.StringIO(evaluation_views.csv_of(task))))
    stored = [a for r in task.result()["rows"] for a in r["accuracies"]]
    assert [float(line["accuracy"]) for line in found] == stored
    assert {line["evaluation"] for line in found} == {task.key}


def test_one_figure_has_no_spread():
    one = {"mean": 0.5, "std": 0.0, "n": 1}
    assert evaluation_views.figure_text(one) == "50.0 % (n = 1)"
