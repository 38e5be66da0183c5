"""Names that somebody else chose, on every page: shown as they are, never as markup."""

from __future__ import annotations

import pytest

from ddcore.base.foreign_text import cell, plain, unescaped, wrapped
from tests.pages import hostile
from tests.pages.fakes import PAGES, done

HOSTILE = hostile.NAME
OF_A_RUN = ("3_Run.py", "4_Images.py", "5_Evaluate.py")
RAW = ("![x]", "](http", "<img", "$x^2$", ":red[", ":smile:", "`c`", "**b**")
# What Streamlit shows without reading it as Markdown, and what the browser sends back.
UNREAD = {
    ("selectbox", "options"),
    ("selectbox", "raw_value"),
    ("multiselect", "options"),
    ("multiselect", "raw_values"),
    ("text_input", "default"),
    ("text_input", "value"),
    ("imgs", "alt"),
    ("plotly_chart", "alt"),
    ("arrow_data_frame", "data"),
    ("code", "code_text"),
    ("text", "body"),
    ("text_area", "default"),
    ("text_area", "value"),
    ("multiselect", "default"),
    ("page_link", "query_string"),
    ("bidi_component", "json"),  # set as text by the browser's part of a sheet
}


def strings(message: object, path: tuple[str, ...] = ()):
    """Every text of a protobuf message with the names of the fields that lead to it."""
    for field, value in message.ListFields():
        here = (*path, field.name)
        many = (
            value if not isinstance(value, (str, bytes)) and hasattr(value, "__iter__") else [value]
        )
        for one in many:
            if isinstance(one, str):
                yield here, one
            elif hasattr(one, "ListFields"):
                yield from strings(one, here)


def check(app) -> int:
    """No element reads a hostile text as markup; how many show one."""
    assert not app.exception, app.exception
    shown = 0
    for node in [*walk(app.main), *walk(app.sidebar)]:
        kind = node.type
        for path, text in strings(node.proto):
            shown += "foreign.invalid" in unescaped(text)
            if (kind, path[-1]) in UNREAD or path[-1] in ("id", "element_id"):
                continue
            for raw in RAW:
                assert raw not in text, (kind, path, text)
    return shown


def walk(block):
    """Every element and block below one."""
    for node in block.children.values():
        if getattr(node, "proto", None) is not None:
            yield node
        if hasattr(node, "children"):
            yield from walk(node)


@pytest.mark.slow
def test_every_page_shows_hostile_names_as_they_are(visit, store, tmp_path):
    keys = {name: task.key for name, task in hostile.plant(store, tmp_path).items()}
    both = f"{keys['opened']},{keys['finished']}"
    shown = {}
    for page in PAGES:
        for name in ("opened", "finished", "failed") if page in OF_A_RUN else ("opened",):
            query = {"run": keys[name], "runs": both, "data": keys["decoded"]}
            count = check(visit(page, **query))
            shown[page] = max(count, shown.get(page, 0))
    silent = {
        "",
        "2_Exact.py",
        "7_Reproduce.py",
        "7_Continual.py",
        "7_Search.py",
    }  # they show shipped runs and figures only
    assert {page for page, count in shown.items() if not count} <= silent, shown


def test_the_open_page(visit, store, tmp_path):
    hostile.decoded(store, tmp_path)
    app = visit("6_Open.py")
    app.file_uploader[0].set_value([(HOSTILE, hostile.file(), "application/octet-stream")])
    app.run()
    check(app)
    assert app.button(key="open.go")
    app.file_uploader[0].set_value([(HOSTILE, b"no set", "application/octet-stream")])
    app.run()
    assert app.error and check(app)


@pytest.mark.parametrize(
    "page, query",
    [
        ("1_Data.py", {"data": "own", "path": f"/{HOSTILE}"}),
        ("2_Distil.py", {"set": f"lr={HOSTILE};augment={HOSTILE};nonsense={HOSTILE}"}),
        ("3_Run.py", {"run": HOSTILE}),
        ("4_Images.py", {"run": HOSTILE, "img": HOSTILE}),
        ("6_Compare.py", {"runs": HOSTILE}),
        ("8_Pixels.py", {"runs": HOSTILE, "set": f"a={HOSTILE}"}),
        ("8_Understand.py", {"runs": HOSTILE}),
        ("4_Runs.py", {"q": HOSTILE, "tag": HOSTILE, "sort": HOSTILE}),
    ],
)
def test_a_hostile_link(visit, store, page, query):
    done(store)
    check(visit(page, **query))


@pytest.mark.parametrize(
    "text", [HOSTILE, "1. a", "- a", "a--b ->", "_a_ b_c", "www.a.b a@b", "# a"]
)
def test_readers_see_what_was_written(text):
    assert unescaped(plain(text)) == text
    assert all(raw not in plain(text) for raw in RAW)


@pytest.mark.parametrize("name", ["res_DM_CIFAR10_50ipc.pt", "1,297 images (8 x 8), seed 0", "-5"])
def test_usual_names_stay_as_they_are(name):
    assert plain(name) == name


def test_lines_of_a_text_are_cut_where_the_reader_sees_it():
    lines = wrapped(plain("<<<<<<<<<<<<"), 4)
    assert [unescaped(line) for line in lines] == ["<<<<"] * 3


def test_one_line_that_reads_from_left_to_right():
    assert plain("a\n# b\t\u202ecod") == "a &#35; b cod"


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@a", "\tx", "\rx"])
def test_cells_are_no_formulas(value):
    assert cell(value) == f"'{value}"


@pytest.mark.parametrize("value", [-1, -0.5, "a=b", "", None])
def test_other_cells_stay(value):
    assert cell(value) == value
