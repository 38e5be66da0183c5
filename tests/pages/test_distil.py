"""The Distil page: methods by idea, what composes, settings from links, the cost, the start."""

from __future__ import annotations

import dataclasses
import re

import pytest

from ddcore.base import paths
from ddcore.data.spec import DataSpec
from ddcore.distil.contract import FAMILIES, LABELS, method, methods, parametrizations, unfit
from ddcore.distil.settings import make_spec, with_text_setting
from ddcore.training.protocols import PROTOCOLS
from pages.components import choices, distil_views, settings_form
from tests.pages.fakes import SHAPE, done, sheets, spec, text

PAGE = "2_Distil.py"
FREE = {"labels": LABELS, "parametrization": tuple(parametrizations())}


def shell_run(app) -> str:
    """The run that the link names after an interaction without exceptions."""
    assert not app.exception
    return "".join(app.query_params["run"])


def link(app) -> str:
    """The settings in the page's address."""
    return "".join(app.query_params["set"]) if "set" in app.query_params else ""


def labels(app) -> list[str]:
    """What can be clicked."""
    return [b.label for b in app.button]


def can_start(app) -> bool:
    """Whether this very set can be made."""
    return any(b.label == "Start" and not b.disabled for b in app.button)


def choice(app, path: str):
    """The select box of a setting."""
    return next(s for s in app.selectbox if f".{path}." in (s.key or ""))


# --- cost, start ----------------------------------------------------------------------------------


def test_distil_states_the_cost_and_the_command(visit):
    shown = text(visit(PAGE, method="dm"))
    assert "It will take about" in shown
    assert "python -m ddcore distill dm --dataset digits --ipc 1 --seed 0 --preset quick" in shown


def test_distil_starts_the_run_and_its_evaluation(visit, store):
    app = visit(PAGE, method="dm", ipc="2")
    app.button(key="distil.go").click().run()
    kinds = sorted(t.kind for t in store.tasks())
    assert kinds == ["distill", "evaluate"]
    run = next(store.tasks("distill"))
    assert run.spec() == spec(ipc=2)
    assert shell_run(app) == run.key
    assert "Distribution matching on Digits" in text(app)


def test_distil_settings_come_from_the_link_and_go_into_the_command(visit):
    app = visit(PAGE, method="dm", set="iterations=77;net.width=8")
    shown = text(app)
    assert "--set iterations=77" in shown
    assert "--set net.width=8" in shown
    assert "All settings (2 changed)" in shown


def test_distil_invalid_values_give_the_sentence_of_the_spec(visit):
    app = visit(PAGE, method="dm", set="momentum=5")
    assert "momentum = 5.0 is not allowed: expected a number from 0 to 0.999." in text(app)
    assert not can_start(app)


def test_distil_variant_changes_the_spec(visit):
    shown = text(visit(PAGE, method="dd2018", setting="fixed"))
    assert "--set setting=fixed" in shown


def test_distil_opens_what_exists(visit, store):
    done(store)
    app = visit(PAGE, method="dm")
    assert "made already" in text(app)
    assert not can_start(app)


def test_what_exists_can_be_made_again_with_the_next_free_seed(visit, store):
    done(store)
    done(store, spec(seed=1))
    app = visit(PAGE, method="dm")
    button = app.button(key="distil.go")
    assert button.label == "Again with seed 2"
    button.click().run()
    assert [t.spec() for t in store.tasks("distill") if not t.is_done()] == [spec(seed=2)]


def test_more_images_than_there_are_is_said(visit, store):
    sizes = {"130": True, "129": False}  # of 1,297 digits
    for ipc, warned in sizes.items():
        app = visit(PAGE, method="dm", ipc=ipc)
        assert any("real ones: there is nothing" in w.value for w in app.warning) == warned
        assert can_start(app)


@pytest.mark.parametrize("typed", [2.5, 100000, -1])
def test_a_typed_number_that_is_not_used_is_said(visit, typed):
    app = visit(PAGE, method="dm")
    app.number_input(key="ipc").set_value(typed).run()
    words = f"Images per class: {typed} is not used, it is no whole number from 1 to 1,000."
    assert words in [w.value for w in app.warning]
    assert app.number_input(key="ipc").value == 1  # what is used is what is shown
    assert "--ipc 1 " in text(app)


# --- methods --------------------------------------------------------------------------------------


def cards(app) -> dict:
    """What the browser is told of the methods."""
    (told,) = sheets(app, "method_cards").values()
    return told


def test_methods_are_grouped_by_idea_in_order_each_once(visit):
    told = cards(visit(PAGE))
    assert [title for title, _ in told["groups"]] == list(distil_views.families())
    families = [f for f in FAMILIES.values() if f in distil_views.families()]
    assert list(distil_views.families()) == families
    titles = [card["title"] for _, group in told["groups"] for card in group]
    assert sorted(titles) == sorted(m.title for m in methods().values())


def test_another_method_is_chosen_by_its_card(visit):
    app = visit(PAGE, method="dm")
    assert cards(app)["chosen"] == "dm"
    app = visit(PAGE, method="bptt")
    assert cards(app)["chosen"] == "bptt"
    assert method("bptt").explanation in text(app)


def test_cards_show_what_a_method_made(visit, store):
    done(store)
    told = {card["name"]: card for _, group in cards(visit(PAGE))["groups"] for card in group}
    assert told["dm"]["picture"].startswith("data:image/png;base64,")
    assert not told["bptt"]["picture"]
    assert told["bptt"]["idea"] == method("bptt").idea


@pytest.mark.parametrize("name", methods())
def test_every_method_says_what_it_does_and_costs(visit, name):
    app = visit(PAGE, method=name)
    shown = text(app)
    assert method(name).explanation in shown
    assert method(name).paper in shown
    assert [x.value for x in app.latex] == [f"$$\n{method(name).formula}\n$$"]
    assert "Start" in labels(app)


def test_costs_are_stated_per_method_and_follow_the_preset(visit, store):
    from pages.components import data_views

    digits = data_views.choices(store)["digits"]
    quick, paper = (distil_views.cost("dm", digits, 1, p) for p in ("quick", "paper"))
    assert re.fullmatch(r"About [\d.]+ (s|min|h)\.", quick)
    assert quick != paper


def test_presets_are_those_of_the_method_for_these_images(visit, store, monkeypatch):
    from pages.components import data_views

    digits = data_views.choices(store)["digits"]
    cifar = DataSpec(name="cifar10", source="torchvision")
    larger = dataclasses.replace(digits, spec=cifar, shape=(3, 32, 32))
    monkeypatch.setattr(data_views, "choices", lambda store: {"digits": digits, "cifar10": larger})

    def offered(**query: str) -> tuple[list[str], str]:
        app = visit(PAGE, preset="hour", **query)
        assert not app.exception and "Start" in labels(app)
        (presets,) = (c for c in app.segmented_control if c.label == "Preset")
        return presets.options, text(app)

    presets, shown = offered(data="cifar10", method="dm")
    assert presets == ["Quick", "Teaching", "Hour", "Paper"]
    assert "--preset hour" in shown and "two cores" in shown
    for query in ({"data": "cifar10", "method": "kip"}, {"data": "digits", "method": "dm"}):
        presets, shown = offered(**query)
        assert presets == ["Quick", "Teaching", "Paper"]
        assert "has no preset Hour for these images" in shown and "--preset quick" in shown


# --- what composes --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", methods())
@pytest.mark.parametrize("path", FREE)
def test_what_is_offered_makes_a_run_and_the_rest_has_a_reason(name, path):
    base = make_spec(name, DataSpec(), SHAPE, ipc=4)
    fits = choices.fitting(base, SHAPE, 10)
    found = choices.among(base, path, settings_form.find(base, path).choices, fits)
    assert {*found.offered, *found.reasons} == set(FREE[path])
    assert getattr(base, path) in found.offered
    for value in found.offered:
        fits(with_text_setting(base, path, value))
    for value, reason in unfit(name)[path].items():
        if value != getattr(base, path):
            assert found.reasons[value] == reason


def test_variants_that_do_not_fit_the_data_are_not_offered():
    def use(value: str) -> None:
        make_spec("dd2018", DataSpec(), SHAPE, settings=[("setting", value), ("target", "1")])

    found = choices.tried(("unknown", "nonsense"), use)
    assert found.offered == ("unknown",)
    assert "setting = 'nonsense' is not allowed" in found.reasons["nonsense"]


@pytest.mark.parametrize(
    ("name", "variant", "value"),
    [
        (m.name, n, v)
        for m in methods().values()
        for n, values in m.variants.items()
        for v in values
    ],
)
def test_every_variant_can_be_started_on_digits_or_says_why_not(visit, name, variant, value):
    app = visit(PAGE, method=name, **{variant: value})
    chosen = app.radio(key=f"choice.{variant}").value
    assert "Start" in labels(app)
    if chosen == value:
        assert f"--set {variant}={value}" in text(app)
    else:
        assert f"Not **{value}**: " in text(app)


def test_reasons_are_on_the_page(visit):
    app = visit(PAGE, method="dm")
    shown = text(app)
    for value, reason in unfit("dm")["labels"].items():
        assert f"Not **{value}**: {reason}." in shown
        assert value not in choice(app, "labels").options


def test_named_values_are_those_that_fields_declare():
    base = make_spec("bptt", DataSpec(), SHAPE)
    fits = choices.fitting(base, SHAPE, 10)

    def named(path):
        return settings_form.find(base, path).choices

    assert named("optimiser") == ("sgd", "adam")
    assert named("augment") == named("lr") == ()
    assert named("protocol") == tuple(PROTOCOLS)
    norm = choices.among(base, "net.norm", named("net.norm"), fits)
    assert "batch" not in norm.offered
    assert "running statistics" in norm.reasons["batch"]
    nets = choices.among(base, "net.arch", named("net.arch"), fits)
    assert "lenet" in nets.reasons  # 8 x 8 images are too small


def test_widgets_have_the_bounds_and_help_of_their_fields(visit):
    app = visit(PAGE, method="mtt", set="labels=learned")
    base = make_spec("mtt", DataSpec(), SHAPE, settings=[("labels", "learned")])
    for path in ("experts", "lr", "lr_rates", "net.width", "val_nets", "label_lr"):
        said = settings_form.find(base, path).said
        widget = next(n for n in app.number_input if f".{path}." in (n.key or ""))
        assert (widget.min, widget.max, widget.help) == (said.low, said.high, said.sentences())
    for path in ("net.init", "protocol", "optimiser"):
        assert choice(app, path).help == settings_form.find(base, path).said.sentences()


def test_a_parametrization_brings_its_own_settings(visit):
    app = visit(PAGE, method="dm", ipc="4", set="parametrization=canvas;canvas=2;crops=16")
    shown = text(app)
    assert "**160 synthetic images** of Digits, 2,560 numbers (as many as 40 plain images" in shown
    assert "--set canvas=2" in shown
    assert "Start" in labels(app)
    canvas = next(n for n in app.number_input if ".canvas." in (n.key or ""))
    canvas.set_value(3).run()
    assert "ipc = 4 is not allowed: expected a multiple of 9" in text(app)
    assert not can_start(app)


def test_learned_labels_have_a_step_size(visit):
    app = visit(PAGE, method="bptt")
    assert not [n for n in app.number_input if ".label_lr." in (n.key or "")]
    choice(app, "labels").set_value("learned").run()
    assert link(app) == "labels=learned"
    assert [n.value for n in app.number_input if ".label_lr." in (n.key or "")] == [0.01]
    assert "Start" in labels(app)


def test_a_choice_that_no_longer_composes_is_taken_back(visit):
    app = visit(PAGE, method="bptt")
    choice(app, "labels").set_value("soft").run()
    choice(app, "parametrization").set_value("canvas").run()
    assert not app.exception
    assert "Start" in labels(app)
    assert link(app) == "parametrization=canvas"
    assert "soft" not in choice(app, "labels").options


def test_settings_of_a_parametrization_go_with_it(visit):
    app = visit(PAGE, method="dm", ipc="4", set="parametrization=canvas;canvas=2")
    choice(app, "parametrization").set_value("pixels").run()
    assert not app.exception
    assert link(app) == ""
    assert "Start" in labels(app)


@pytest.mark.parametrize(
    "setting", ["labels=soft", "net.arch=lenet", "protocol=native-2018", "init=x", "nonsense=1"]
)
def test_a_link_that_does_not_compose_starts_nothing(visit, setting):
    app = visit(PAGE, method="dm", set=setting)
    assert len(app.error) == 1
    assert "is not allowed" in app.error[0].value
    assert not can_start(app)
    assert link(app) == setting
    path = setting.partition("=")[0]
    next(b for b in app.button if b.label == setting.replace("=", " = ")).click().run()
    assert not app.exception
    assert link(app) == "" and not app.error, path
    assert "Start" in labels(app)


# --- settings of a link without a widget ----------------------------------------------------------


def test_a_setting_without_a_widget_is_kept_shown_and_removable(visit, store):
    app = visit(PAGE, method="dm", set="protocol.epochs=10;lr=2")
    assert "Also set by the link:" in text(app)
    assert "protocol.epochs = 10" in labels(app)
    assert "--set protocol.epochs=10" in text(app)
    assert "All settings (2 changed)" in text(app)
    app.run()
    assert link(app) == "lr=2;protocol.epochs=10"
    app.button(key="distil.go").click().run()
    run = next(store.tasks("distill")).spec()
    assert (run.protocol.epochs, run.params.lr) == (10, 2.0)


def test_removing_such_a_setting_keeps_the_others(visit):
    app = visit(PAGE, method="dm", set="protocol.epochs=10;lr=2")
    next(b for b in app.button if b.label == "protocol.epochs = 10").click().run()
    assert not app.exception
    assert link(app) == "lr=2"
    assert "Also set by the link" not in text(app)


def test_settings_stay_with_another_size_and_go_with_another_method(visit):
    app = visit(PAGE, method="dm", set="iterations=77;protocol.epochs=10")
    app.number_input(key="ipc").set_value(2).run()
    assert not app.exception
    assert link(app) == "iterations=77;protocol.epochs=10"
    app.query_params["method"] = "bptt"  # as its card does
    app.run()
    assert not app.exception
    assert link(app) == ""
    assert "went back to what this method and preset say" in text(app)


# --- no names in the code -------------------------------------------------------------------------


def test_the_page_names_no_method_no_label_and_no_parametrization():
    names = {*methods(), *LABELS, *parametrizations()}
    for file in ("2_Distil.py", *(f"components/{m}.py" for m in ("distil_views", "choices"))):
        code = (paths.PROJECT / "pages" / file).read_text()
        literals = set(re.findall(r"""["']([^"'\n]*)["']""", code))
        assert not literals & names, file
