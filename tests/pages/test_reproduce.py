"""The Reproduce page: what was published, what was found, and a row that is queued from it."""

from __future__ import annotations

from dataclasses import replace

from ddcore.recipes import recipe, recipes, table
from ddcore.recipes.base import Published
from pages.components import reproduce_matrix, reproduce_views
from tests.pages.fakes import text

PAGE = "7_Reproduce.py"


def test_before_anything_was_made_it_shows_what_was_published(visit):
    app = visit(PAGE)
    assert "**0 of " in text(app)
    for known in recipes().values():
        assert known.title in [e.label for e in app.expander]
        assert any(known.name in code.value for code in app.code)
    shown = [row for frame in app.dataframe for row in frame.value["Published"]]
    assert "79.5 ± 8.1 %" in shown and "–" in shown


def test_a_row_is_queued_with_everything_it_needs(visit, store):
    app = visit(PAGE)
    app.selectbox(key="reproduce.row.mnist-cpu").select("mnist-dm-1-narrow").run()
    assert not app.exception and "2 steps to do" in text(app)
    app.button(key="reproduce.queue.mnist-cpu").click().run()
    wanted = [step.spec for step in recipe("mnist-cpu").steps(only="mnist-dm-1-narrow")]
    assert [store.task(spec).status()["state"] for spec in wanted] == ["queued", "queued"]


def test_the_answer_counts_what_is_reached(store):
    line = table.lines(store)[0]

    def measured(mean, std, published):
        ours = {"mean": mean, "std": std, "n": 20}
        return replace(line, ours=ours, published=Published(published, "a source"))

    lines = [
        line,
        measured(0.80, 0.01, 79.5),
        measured(0.78, 0.02, 79.5),
        measured(0.7, 0.01, 79.5),
    ]
    answer = reproduce_views.answer(lines)
    assert "**3 of 4**" in answer and "**2 of 3**" in answer


def test_the_matrix_says_by_shape_what_was_reached(store):
    from pages.components import reproduce_matrix as matrix

    line = table.lines(store)[0]
    published = Published(79.5, "a source", 1.0)

    def measured(mean, **more):
        return replace(line, ours={"mean": mean, "std": 0.01, "n": 20}, **more)

    lines = [
        replace(line, published=published),
        measured(0.787, published=published),
        measured(0.5, published=published),
        measured(0.5, published=None),
    ]
    found = matrix.describe(lines, 0)
    ((name, cells),) = found["rows"]
    assert name and len(found["columns"]) == len(cells) == 1
    kinds = [mark["kind"] for mark in cells[0]]
    assert kinds == [matrix.OPEN, matrix.REACHED, matrix.MISSED, matrix.ALONE]
    assert [mark["index"] for mark in cells[0]] == [0, 1, 2, 3]
    assert "Published: 79.5 ± 1.0 % (a source)" in cells[0][1]["words"]


def test_a_line_is_shown_with_its_command(visit):
    app = visit(PAGE, measured="false")
    line = table.lines(app_store())[0]
    assert line.command in [code.value for code in app.code]


def app_store():
    """The store that the page sees."""
    from pages.components import shell

    return shell.store()


def test_lines_of_a_cell_are_told_apart(store):
    """By words of their rows' names, else by protocol and width, else by both; one alone needs no word."""
    lines = {(ln.row.name, ln.judged_by): ln for ln in table.lines(store)}

    def told(method: str, ipc: int, begins: str = "cifar10") -> list[str]:
        own = [
            ln
            for ln in lines.values()
            if ln.row.method == method and ln.row.ipc == ipc and ln.row.name.startswith(begins)
        ]
        return reproduce_matrix.labels(own)

    assert told("dd2018", 10, "mnist-unknown-100-short") == [""]
    assert told("dd2018", 10, "cifar10") == ["fixed", "unknown"]
    assert told("mtt", 10, "cifar10-mtt-10-hour") == ["t300 w32", "t300 w128", "mtt w32"]
    of_dm = told("dm", 10, "cifar10-dm-10-")
    assert len(set(of_dm)) == len(of_dm) > 4 and "wide t300 w128" in of_dm
