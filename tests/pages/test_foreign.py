"""Names that somebody else chose, on every page: shown as they are, never as markup."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from analysis import analyses
from ddcore import paths
from ddcore.data.lookup import resolve
from ddcore.data.spec import dataset_task
from ddcore.foreign import cell, plain, unescaped, wrapped
from ddcore.methods.spec import make_spec
from ddcore.worker import run_task
from tests.pages.fakes import SHAPE, done, evaluated, put, snapshots

# A folder's name holds no slash; in the address of a link entities are read as what they stand for.
HOSTILE = (
    "![x](http:&#47;&#47;foreign.invalid&#47;a.png) <img src=x> $x^2$ :red[r] :smile: `c` **b** |"
)
RAW = ("![x]", "](http", "<img", "$x^2$", ":red[", ":smile:", "`c`", "**b**")
PAGES = ["", *sorted(p.name for p in (paths.PROJECT / "pages").glob("[0-9]*.py"))]
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
    ("page_link", "query_string"),
}


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, SHAPE[1:], np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def own(tmp_path, store):
    """The data of an own folder whose name and classes are hostile, decoded."""
    folder = tmp_path / HOSTILE
    for c in "ab":
        (folder / f"{c} {HOSTILE}").mkdir(parents=True)
        for i in range(12):
            (folder / f"{c} {HOSTILE}" / f"{i}.png").write_bytes(picture(i))
    data = resolve(str(folder))
    task = store.create(dataset_task(data))
    run_task(store, task, task.spec(), "cpu")
    assert task.is_done(), task.status()
    return data, task


@pytest.fixture
def planted(own, store, visit):
    """A set from a hostile file, a finished run and its evaluation, a run that failed, an analysis."""
    data, decoded = own
    names = tuple(decoded.result()["class_names"])
    assert all(HOSTILE in name for name in names)
    images = torch.randn(2, *SHAPE)
    file = io.BytesIO()
    torch.save({"data": [[images, torch.arange(2)]], "accs_all_exps": {}}, file)
    app = visit("6_Open.py")
    app.file_uploader[0].set_value([(HOSTILE, file.getvalue(), "application/octet-stream")])
    app.run()
    check(app)
    app.button(key="open.go").click().run()
    opened = next(store.tasks("import"))
    run_task(store, opened, opened.spec(), "cpu")
    assert opened.is_done(), opened.status()
    run = make_spec("dm", data, SHAPE)
    two = {"images": images.numpy(), "labels": np.arange(2), "class_names": names}
    finished = done(store, run, **two)
    evaluated(store, run)
    failed = put(store, run.replace(seed=1), "failed", message=HOSTILE)
    snapshots(put(store, run.replace(seed=2), "cancelled"), 2)
    of = analyses()["pixels"]
    wanted = of.spec(run_keys=(opened.key, finished.key), **of.smallest)
    answered = store.create(wanted)
    run_task(store, answered, wanted, "cpu")
    assert answered.is_done(), answered.status()
    return {"opened": opened, "finished": finished, "failed": failed, "decoded": decoded}


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


def test_every_page_shows_hostile_names_as_they_are(visit, planted):
    keys = {name: task.key for name, task in planted.items()}
    both = f"{keys['opened']},{keys['finished']}"
    shown = {}
    for page in PAGES:
        for name in ("opened", "finished", "failed"):
            query = {"run": keys[name], "runs": both, "data": keys["decoded"]}
            count = check(visit(page, **query))
            shown[page] = max(count, shown.get(page, 0))
    silent = {"", "7_Reproduce.py", "2_Exact.py"}  # they show shipped runs and figures only
    assert {page for page, count in shown.items() if not count} <= silent, shown


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
