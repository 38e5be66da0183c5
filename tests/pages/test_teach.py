"""Links for a class: what they leave out, what they lock, and what they say of themselves."""

from __future__ import annotations

import pytest

from ddcore.base import paths
from pages.components import permissions, shell, teach
from tests.pages.fakes import PAGES, decoded, done, evaluated, spec, text
from tests.pages.test_views import told

EACH = pytest.mark.parametrize("page", PAGES, ids=lambda name: name or "Start")
HIDDEN = "st-key-" + teach.HIDDEN.replace(".", "-")


@pytest.fixture
def run(store):
    """A judged run of digits that have been read, and another."""
    decoded(store)
    first = done(store)
    evaluated(store, first.spec())
    done(store, spec(seed=1))
    return first


def under(app) -> set[str]:
    """Keys of the widgets that a page draws where nobody sees them."""
    found: set[str] = set()

    def walk(block, inside: bool):
        for node in block.children.values():
            proto = getattr(node, "proto", None)
            key = getattr(proto, "id", "") if proto is not None else ""
            inner = inside or teach.HIDDEN in key
            if inside and getattr(node, "key", None):
                found.add(node.key)
            if hasattr(node, "children"):
                walk(node, inner)

    walk(app.main, False)
    return found


def widgets(app) -> dict[str, object]:
    """Every widget of a page by its key."""
    kinds = (
        "selectbox",
        "multiselect",
        "number_input",
        "button",
        "button_group",
        "radio",
        "toggle",
    )
    kinds += ("select_slider", "text_input")
    return {w.key: w for kind in kinds for w in app.get(kind) if getattr(w, "key", None)}


@EACH
def test_with_all_left_out_nothing_can_be_started_and_no_page_fails(visit, run, page):
    everything = ",".join(f"hide-{name}" for name in teach.GROUPS)
    app = visit(page, teach=everything)
    assert app.title and not [w for w in app.warning if w.icon == ":material/link_off:"]
    starts = [b.key for b in app.button if b.key and b.key.endswith((".start", ".stop", ".go"))]
    starts = [key for key in starts if key != "exact.start"]  # no job: it opens an experiment
    assert all(app.button(key=key).disabled for key in starts), starts


@pytest.mark.parametrize(
    ("page", "name", "keys"),
    [
        ("4_Images.py", "run", {"choice.run"}),
        ("4_Images.py", "view", {"choice.cls", "choice.order", "choice.size", "images.step"}),
        ("8_Pixels.py", "preset", {"choice.preset"}),
        ("8_Pixels.py", "run", {"several.runs"}),
        ("6_Compare.py", "run", {"several.runs"}),
        ("6_Compare.py", "view", {"choice.view", "choice.scale", "compare.share"}),
        ("2_Distil.py", "setup", {"choice.data", "ipc", "seed"}),
        ("2_Distil.py", "preset", {"choice.preset"}),
        ("5_Evaluate.py", "settings", {"choice.protocol", "several.archs", "evaluate.nets"}),
        ("9_Toy.py", "view", {"choice.toy", "choice.points"}),
    ],
)
def test_a_group_is_left_out_or_locked(visit, run, page, name, keys):
    free = widgets(visit(page))
    assert keys <= {*free} and not any(free[key].disabled for key in keys)
    assert not under(visit(page)) & keys
    locked = visit(page, teach=f"lock-{name}")
    assert all(widgets(locked)[key].disabled for key in keys)
    assert not under(locked) & keys
    left_out = visit(page, teach=f"hide-{name}")
    assert keys <= under(left_out)


def test_what_is_left_out_keeps_what_the_link_says(visit, run):
    app = visit("4_Images.py", run=run.key, cls="3", step="0", teach="hide-run,hide-view")
    assert "at iteration 0" in told_label(app)


def told_label(app) -> str:
    from tests.pages.fakes import sheets

    return sheets(app)["images.sheet"]["label"]


def test_settings_of_a_run_are_locked(visit, run):
    free, locked = visit("2_Distil.py"), visit("2_Distil.py", teach="lock-settings")
    fields = [k for k in widgets(free) if k.startswith("distil.") and ".go" not in k]
    fields = [k for k in fields if k not in ("distil.settings",) and "lr" in k]
    assert fields
    assert all(widgets(locked)[key].disabled for key in fields)


def test_starting_is_refused_not_only_hidden(visit, store, run, monkeypatch):
    app = visit("9_Jobs.py", teach="lock-start")
    key = f"jobs.delete.{run.key}"
    assert app.button(key=key).disabled
    monkeypatch.setattr(teach, "link", lambda: "hide-start")
    with pytest.raises(permissions.NotAllowed, match="This link is for looking"):
        permissions.throw(store, [run])
    assert run.is_done()


def test_links_to_other_pages_keep_what_is_left_out(visit, run):
    app = visit("4_Images.py", run=run.key, teach="hide-run")
    side = [e.proto.query_string for e in app.sidebar.get("page_link")]
    assert side and all("teach=hide-run" in each for each in side)


def test_a_visitor_of_such_a_link_is_told_no_more_than_how_to_copy_it(visit, run):
    assert told(visit("4_Images.py", teach="hide-run"))["taught"]
    assert not told(visit("4_Images.py"))["taught"]


def test_foreign_words_in_it_are_no_markup(visit):
    (said,) = visit("9_Jobs.py", teach="![x](http://foreign.invalid),<img src=x>").warning
    assert "![x]" not in said.value and "<img" not in said.value and "is not allowed" in said.value


def test_the_panel_names_every_group(visit):
    groups = told(visit("9_Jobs.py"))["groups"]
    assert [g[0] for g in groups] == list(teach.GROUPS)
    assert {w.split("-", 1)[1] for w in teach.words()} == set(teach.GROUPS)
    assert {*teach.OF.values()} <= {*teach.GROUPS}


def test_going_to_a_view_and_to_none(visit, run):
    app = visit("4_Images.py")
    app.session_state["frame.go"] = f"Run?run={run.key}&x=1"
    app.run()
    assert not app.exception and "".join(app.query_params["run"]) == run.key
    assert "40 iterations" in text(app)
    app.session_state["frame.go"] = "http://foreign.invalid/Nowhere?x=1"
    app.run()
    assert "page = '/Nowhere' is not allowed" in app.warning[0].value
    assert shell.HOME  # and the page stays


def test_qr_codes_are_drawn_where_others_can_reach_the_dashboard(visit, run, monkeypatch):
    link = "http://lab.example.org/Images?run=0123456789abcdef"
    app = visit("4_Images.py")
    app.session_state["frame.code"] = link
    app.run()
    assert told(app)["code"] is None and not told(app)["shared"]
    monkeypatch.setenv("DD_VISITORS", "1")
    app.run()
    from pages.components import qr

    code = told(app)["code"]
    assert code["link"] == link
    assert code["rows"] == ["".join("01"[f] for f in row) for row in qr.matrix(link)]
    app.session_state["frame.code"] = "http://x/" + "y" * 700
    app.run()
    assert "expected at most 666" in told(app)["code"]["refused"]


def test_the_documentation_names_every_group():
    told = (paths.PROJECT / "docs" / "teaching.md").read_text()
    assert all(f"`{name}`" in told for name in teach.GROUPS)
