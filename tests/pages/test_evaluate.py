"""The Evaluate page: figures as stored, what they say, and which evaluations the form describes."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from ddcore.base.specs import content_key
from ddcore.data.spec import DataSpec
from ddcore.distil.settings import make_spec
from ddcore.measure import changes, ranking
from ddcore.measure.changes import ChangesTask
from ddcore.measure.regimes import REGIMES, regime
from ddcore.measure.spec import BASELINES, LABELLED, WHOLE, default_evaluation
from ddcore.nets.architectures import NetSpec
from ddcore.tasks.files import write_json
from ddcore.tasks.store import Task
from ddcore.tasks.worker import Context
from ddcore.training.protocols import PROTOCOLS
from pages.components import changes_views, evaluation_form, evaluation_views
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
    assert "+17.8 ± 2.8 points** over random real images" in shown
    assert "| Class means | 79.9 ± 2.0 % (n = 2) | +1.3 ± 2.8 points |" in shown
    assert len(app.get("plotly_chart")) == 1
    assert "How to doubt it" in shown
    assert "smaller than the spread" in app.warning[0].value


def test_not_beating_the_class_mean_is_said(visit, store):
    task = done(store)
    run = task.spec()
    measured(store, run, three(run.net.label(), 0.70, 0.60, 0.75))
    app = visit(PAGE, run=task.key)
    assert "does not beat class means" in app.warning[0].value
    assert "-5.0 ± 2.8 points** over class means" in text(app)


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


@pytest.mark.parametrize("kind", ["hard", "soft", "online"])
def test_labels_are_chosen_in_the_link_and_lead_back_to_it(visit, store, kind):
    task = done(store)
    app = visit(PAGE, run=task.key, protocol="t300", labels=kind, baselines="easiest")
    assert REGIMES[kind].capitalize() in text(app)
    app.button(key="evaluate.task.start").click().run()
    found = next(store.tasks("evaluate")).spec()
    assert found.labels == regime(kind, task.spec().data, task.spec().net)
    assert found.protocol.loss == ("ce" if kind == "hard" else "kl")
    given = evaluation_form.options(task.spec(), SHAPE, 10)
    link = {"protocol": "t300", "labels": kind, "baselines": "easiest"}
    assert evaluation_form.parameters(given, found) == link
    assert found.labels.title() in evaluation_form.describe(found)


def test_the_best_on_test_is_asked_for_in_the_link(visit, store):
    task = done(store)
    app = visit(PAGE, run=task.key, best="20", protocol="t300")
    app.button(key="evaluate.task.start").click().run()
    found = next(store.tasks("evaluate")).spec()
    assert found.best_every == 20 and "best of every 20 epochs" in evaluation_form.describe(found)
    given = evaluation_form.options(task.spec(), SHAPE, 10)
    assert evaluation_form.parameters(given, found) == {"protocol": "t300", "best": "20"}
    assert evaluation_form.parameters(given, found.replace(best_every=7)) is None


def test_the_best_on_test_stands_beside_the_honest_figure(visit, store):
    task = done(store)
    run = task.spec()
    best = {"mean": 0.93, "std": 0.01, "n": 2, "accuracies": [0.92, 0.94], "every": 10}
    rows = three(run.net.label(), 0.90, 0.60, 0.75)
    rows[0]["best_on_test"], rows[1]["best_on_test"] = best, best | {"mean": 0.66}
    measured(store, run, rows, best_every=10)
    shown = text(visit(PAGE, run=task.key, best="10"))
    assert "Distilled: **90.0 ± 2.0 % (n = 2)**" in shown
    assert (
        "As published (best on test): **93.0 ± 1.0 % (n = 2)**, random real images 66.0 ± 1.0 %"
        in shown
    )
    assert "test images have chosen" in shown
    line = next(line for line in shown.splitlines() if line.startswith("| Random real images"))
    assert "60.0 ± 2.0 %" in line and "66.0 ± 1.0 %" in line
    evaluated(store, run)  # without it nothing is said of it
    assert "best on test" not in text(visit(PAGE, run=task.key)).lower()


def test_sets_with_an_order_are_not_asked_about_labels(visit, store):
    task = done(store, make_spec("dd2018", DataSpec(), SHAPE), lrs=np.ones(1, np.float32))
    app = visit(PAGE, run=task.key)
    assert not [box for box in app.selectbox if box.key in ("choice.labels", "choice.best")]


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


def test_a_set_in_parts_can_be_used_part_by_part(visit, store):
    """The link chooses it and leads back to it; a set of one part has no such choice."""
    run = make_spec("seqmatch", DataSpec(), SHAPE, ipc=10)
    task = done(store, run)
    app = visit(PAGE, run=task.key, protocol="quick in 2 stages")
    assert "first on the first of the set's parts" in text(app)
    app.button(key="evaluate.task.start").click().run()
    found = next(store.tasks("evaluate")).spec()
    assert found.protocol == PROTOCOLS["quick"].replace(name="quick in 2 stages", stages=2)
    given = evaluation_form.options(run, SHAPE, 10)
    assert evaluation_form.parameters(given, found) == {"protocol": "quick in 2 stages"}
    whole = make_spec("dm", DataSpec(), SHAPE, ipc=10)
    assert not any("stages" in name for name in evaluation_form.protocols(whole))


def test_no_choice_is_the_runs_own_evaluation():
    run = spec()
    given = evaluation_form.options(run, SHAPE, 10)
    own = evaluation_form.evaluation(given, run.protocol.name, None, [run.net.arch], [])
    assert own == default_evaluation(run.key, run)
    assert evaluation_form.parameters(given, own) == {}
    everything = default_evaluation(run.key, run, baselines=(*BASELINES, WHOLE))
    extra = ",".join([*[b for b in BASELINES if b not in evaluation_form.ALWAYS], WHOLE])
    assert evaluation_form.parameters(given, everything) == {"baselines": extra}
    xavier = run.net.replace(width=7, init="xavier")
    other = default_evaluation(run.key, run, archs=(xavier,))
    assert evaluation_form.parameters(given, other) is None
    too_small = default_evaluation(run.key, run, archs=(NetSpec(arch="lenet"),))
    assert evaluation_form.parameters(given, too_small) is None


def test_other_widths_are_chosen_by_name(visit, store):
    """From a link or by typing; the same choice is the same task as of `evaluate --arch`."""
    task = done(store)
    run = task.spec()
    wide = (run.net.replace(width=8), run.net.replace(width=32))
    app = visit(PAGE, run=task.key, archs="convnet-32,convnet-8")
    assert not app.exception and not app.warning
    app.button(key="evaluate.task.start").click().run()
    made = next(t.spec() for t in store.tasks("evaluate"))
    assert made == default_evaluation(run.key, run, archs=wide)
    given = evaluation_form.options(run, SHAPE, 10)
    assert evaluation_form.parameters(given, made) == {"archs": "convnet-8,convnet-32"}


def test_a_typed_name_goes_into_the_link(visit, store):
    app = visit(PAGE, run=done(store).key)
    app.multiselect(key="several.archs").set_value(["convnet", "mlp-8"]).run()
    assert not app.exception and in_link(app, "archs") == "convnet,mlp-8"
    assert "MLP-2 w8" in text(app)
    app.multiselect(key="several.archs").set_value(["mlp-8", "nothing"]).run()
    assert "network = 'nothing' is not allowed" in text(app)


def test_a_name_of_no_network_is_said(visit, store):
    task = done(store)
    app = visit(PAGE, run=task.key, archs="convnet,convnet-0,<b>")
    assert not app.exception
    assert len(app.warning) == 2 and "such as convnet-16" in app.warning[0].value
    assert app.multiselect(key="several.archs").value == ["convnet"]


def test_other_evaluations_are_linked(visit, store):
    task = done(store)
    run = task.spec()
    evaluated(store, run)
    measured(store, run, three(run.net.label(), 0.9, 0.6, 0.7), nets=3)
    assert [s.value for s in visit(PAGE, run=task.key).header][-1] == "Also measured"


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
    task = done(store, run, init_weights={"0.weight": np.zeros(3, np.float32)})
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
    task = done(store, run, init_weights={"0.weight": np.zeros(3, np.float32)})
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


# --- DD-Ranking, other uses -----------------------------------------------------------------------


def on_lines(app) -> str:
    """What can be read, with ordinary spaces."""
    return text(app).replace("\N{NO-BREAK SPACE}", " ")


def metrics(app) -> dict[str, str]:
    """The measures on the page."""
    return {m.label: m.value for m in app.metric}


def test_ranking_measures_come_from_stored_rows(visit, store):
    task = done(store)
    run = task.spec()
    arch = run.net.label()
    rows = [*three(arch, 0.80, 0.60, 0.7), row("whole", 0.95, arch, std=0.0)]
    measured(store, run, rows, baselines=("random", "class_mean", WHOLE))
    app = visit(PAGE, run=task.key, baselines=WHOLE)
    found = metrics(app)
    assert found["Improvement over random"] == "+20.0 ± 2.8 points"
    assert found["Hard-label gap"] == "+15.0 ± 2.0 points"
    score = ranking.label_robust_score(0.15, 0.20)
    assert found["Label robust score"] == f"{score:.3f}"
    assert "Made of HLR +15.0 ± 2.0 points and IOR +20.0 ± 2.8 points" in text(app)
    assert found["Augmentation robust score"] == "not measured"
    assert ranking.DOUBT in text(app)
    for text_of in ranking.DEFINITIONS.values():
        assert text_of in text(app)


def test_labels_of_the_set_are_told_from_its_images(visit, store):
    """With a teacher's labels for the random images both differences; else the sentence that they differ."""
    task = done(store, labels=soft())
    run = task.spec()
    arch = run.net.label()
    measured(store, run, three(arch, 0.80, 0.60, 0.7))
    assert ranking.LABELS_DIFFER in text(visit(PAGE, run=task.key))

    settings = [("labels", "soft"), ("init", "real")]
    run = make_spec("bptt", DataSpec(), SHAPE, settings=settings)
    task = done(store, run, labels=soft())
    measured(store, run, [*three(arch, 0.80, 0.60, 0.7), row(LABELLED, 0.75, arch)])
    app = visit(PAGE, run=task.key)
    assert metrics(app)["Improvement over random"] == "+5.0 ± 2.8 points"
    assert "With class labels instead it would be +20.0 ± 2.8 points" in text(app)


def test_the_gap_uses_all_training_images_of_another_evaluation(visit, store):
    task = done(store)
    run = task.spec()
    arch = run.net.label()
    evaluated(store, run)
    app = visit(PAGE, run=task.key)
    assert metrics(app)["Hard-label gap"] == "not measured"
    assert "needs the accuracy of all training images" in text(app)
    whole = [*three(arch, 0.5, 0.5, 0.5), row("whole", 0.95, arch, std=0.0)]
    measured(store, run, whole, nets=3, baselines=("random", "class_mean", WHOLE))
    assert metrics(visit(PAGE, run=task.key))["Hard-label gap"] == "+13.8 ± 2.0 points"


def soft() -> np.ndarray:
    """Soft labels of ten images."""
    return np.eye(10, dtype=np.float32) * 0.5 + 0.05


def other_uses(store, task, figures: dict[str, float]):
    """The finished task of other uses."""
    wanted = ChangesTask(run_key=task.key, nets=task.spec().protocol.nets)
    found = store.create(wanted)
    rows = [
        {"change": c, "mean": m, "std": 0.01, "n": 2, "accuracies": [m - 0.01, m + 0.01]}
        for c, m in figures.items()
    ]
    run = task.spec()
    facts = {"arch": run.net.label(), "protocol": run.protocol.to_dict()}
    Context(store, found, wanted, "cpu").save_result({"rows": rows, **facts})
    found.finish()
    return found


def test_the_gap_of_soft_labels_needs_hard_ones(visit, store):
    task = done(store, labels=soft())
    run = task.spec()
    arch = run.net.label()
    rows = [*three(arch, 0.80, 0.60, 0.7), row("whole", 0.95, arch, std=0.0)]
    measured(store, run, rows, baselines=("random", "class_mean", WHOLE))
    app = visit(PAGE, run=task.key, baselines=WHOLE)
    assert metrics(app)["Hard-label gap"] == "not measured"
    assert "needs the set with hard labels" in text(app)
    other_uses(store, task, {"as_made": 0.80, "hard_labels": 0.75})
    app = visit(PAGE, run=task.key, baselines=WHOLE)
    assert metrics(app)["Hard-label gap"] == "+20.0 ± 1.0 points"
    assert "wholly to its most likely class | 75.0 ± 1.0 % (n = 2) | -5.0 |" in on_lines(app)


def test_plain_sets_have_no_other_uses(visit, store):
    task = done(store)
    evaluated(store, task.spec())
    assert changes_views.TITLE not in text(visit(PAGE, run=task.key))


def test_order_and_step_sizes_are_tried_and_shown(visit, store):
    run = make_spec("dd2018", DataSpec(), SHAPE)
    task = done(store, run, lrs=np.array([0.1, 0.2, 0.3], np.float32))
    app = visit(PAGE, run=task.key)
    assert changes_views.TITLE in text(app)
    app.button(key="evaluate.changes.start").click().run()
    assert not app.exception
    wanted = ChangesTask(run_key=task.key, nets=run.protocol.nets)
    assert store.task(wanted).status()["state"] == "queued"
    figures = {"as_made": 0.8, "shuffled": 0.7, "mean": 0.75, "half": 0.6, "double": 0.5}
    other_uses(store, task, figures)
    shown = on_lines(visit(PAGE, run=task.key))
    for name, mean in figures.items():
        assert f"**{changes.CHANGES[name]}**" in shown
        assert f"| {100 * mean:.1f} ± 1.0 % (n = 2) |" in shown
    assert "| -30.0 |" in shown


def test_a_run_of_another_version_is_evaluated_under_its_own_key(visit, store):
    task = done(store)
    document = task.document() | {"version": 1}
    document["key"] = content_key(document["kind"], 1, document["spec"])
    old = task.folder.with_name(document["key"])
    task.folder.rename(old)
    write_json(old / "spec.json", document)
    Task(old).finish()
    app = visit(PAGE, run=old.name)
    app.button(key="evaluate.task.start").click().run()
    assert not app.exception
    assert next(store.tasks("evaluate")).spec().run_key == old.name
