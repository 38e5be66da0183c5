"""Printed panels: the numbers of the page, at the widths of columns, with fonts and where they come from."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import zipfile

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.text import Text
from PIL import Image

from analysis import analyses, analysis, thumbnail
from analysis.contract import seen
from analysis.export import csv_text
from analysis.printed import archive, axes, marks, panel, provenance, table, texts
from analysis.settings import picked
from analysis.shared import colours, drawing
from analysis.task import load_arrays
from ddcore.base.foreign_text import DOLLAR, plain
from ddcore.base.texts import duration
from tests.pages import hostile

EACH = pytest.mark.parametrize("name", list(analyses()))
INCH = 72  # points


@pytest.fixture
def panels(finished, analysed):
    """All panels of an analysis by its name."""

    def get(name: str) -> list[panel.Panel]:
        task, of = finished(name), analysis(name)
        return archive.panels(of, of.result(task), load_arrays(analysed, task))

    return get


def drawn(figure, width="double"):
    return panel.draw(figure, panel.WIDTHS[width], panel.height(figure, width))


# --- what is drawn ----------------------------------------------------------------------------------


@pytest.mark.slow
@EACH
def test_every_panel_is_printed_at_its_width(name, panels):
    widths = itertools.cycle(panel.WIDTHS.items())  # each of both widths for every other panel
    for each, (width, inches) in zip(panels(name), widths):
        content = panel.content(each, "png", width, "Run 0123456789abcdef; n = 3.")
        picture = Image.open(io.BytesIO(content))
        assert picture.width == round(inches * panel.DPI), each.title
        assert np.asarray(picture.convert("L")).std() > 3, "something is drawn"


# How files are written is the same for all; what is drawn is all in an SVG.
@pytest.mark.parametrize(
    ("name", "format"),
    [
        *((name, "svg") for name in analyses()),
        *(("curvature", f) for f in panel.FORMATS if f != "svg"),
    ],
)
def test_the_same_panel_is_the_same_file(name, format, panels):
    first = panels(name)[0]
    one, two = (panel.content(first, format) for _ in range(2))
    assert one == two
    assert one[:4] == {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xm"}[format]


def plain_numbers(trace) -> bool:
    """Whether a trace is one line or one kind of points, without categories."""
    if trace.type not in ("scatter", "scattergl") or trace.fill or trace.opacity == 0:
        return False
    numbers = all(len(v) and isinstance(v[0], (float, int, np.number)) for v in (trace.x, trace.y))
    return numbers and not isinstance(trace.marker.color, (tuple, np.ndarray))


@EACH
def test_lines_and_points_are_those_of_the_page(name, panels):
    """Of plain traces: what matplotlib holds are the numbers that plotly holds."""
    for each in panels(name):
        static = drawn(each.figure)
        held = [
            np.column_stack(line.get_data()).astype(float) for a in static.axes for line in a.lines
        ]
        for trace in filter(plain_numbers, each.figure.data):
            wanted = np.column_stack([trace.x, trace.y]).astype(float)
            assert any(
                h.shape == wanted.shape and np.allclose(h, wanted, equal_nan=True) for h in held
            ), trace.name


@EACH
def test_all_that_the_legend_names_is_in_the_legend(name, panels):
    for each in panels(name):
        if each.figure.layout.showlegend is False:
            continue
        named = {
            texts.shown(t.name) for t in each.figure.data if t.name and t.showlegend is not False
        }
        static = drawn(each.figure, "single")
        (legend,) = static.legends
        assert {text.get_text() for text in legend.get_texts()} == named
        box = legend.get_window_extent().transformed(static.dpi_scale_trans.inverted())
        assert box.x1 <= static.get_figwidth() + 0.1, "nothing of it is cut off"


@EACH
def test_text_is_legible_and_within_the_figure(name, panels):
    for each in panels(name):
        static = drawn(each.figure, "single")
        static.draw_without_rendering()
        sizes = [t.get_fontsize() for t in static.findobj(Text) if t.get_text().strip()]
        assert min(sizes) >= 5
        box = static.get_tightbbox()
        assert box.x0 > -0.05 and box.x1 < static.get_figwidth() + 0.05, (each.title, box)


def test_categories_log_axes_reversed_axes_and_ranges():
    figure = drawing.new_figure("x", "y", legend=False)
    figure.add_scatter(x=["a", "b", "a"], y=[1.0, 10.0, 100.0], mode="markers")
    figure.update_yaxes(type="log", range=[0, 2])
    axis = drawn(figure).axes[0]
    assert axis.get_yscale() == "log" and axis.get_ylim() == (1, 100)
    assert [t.get_text() for t in axis.get_xticklabels()] == ["a", "b"]
    np.testing.assert_array_equal(axis.lines[0].get_xdata(), [0, 1, 0])
    turned = drawing.new_figure(legend=False)
    turned.add_scatter(x=[1, 2], y=["up", "down"])
    turned.update_yaxes(autorange="reversed", type="category")
    low, high = drawn(turned).axes[0].get_ylim()
    assert low > high, "the first one is on top"


def test_densities_are_those_of_a_library():
    from scipy.stats import gaussian_kde

    values = np.random.default_rng(0).normal(size=50)
    at, found = marks.density(values, 0.3)
    theirs = gaussian_kde(values, bw_method=0.3 / values.std(ddof=1))(at)
    np.testing.assert_allclose(found, theirs, atol=1e-9)


def test_every_symbol_and_dash_of_the_project_is_known():
    for symbol in [*(s for _, s in colours.METHODS.values()), *colours.OTHER_SYMBOLS, "line-ns"]:
        for ending in colours.SYMBOLS:
            name, filled = marks.marker(symbol + ending)
            assert name
            assert not (filled and ending.startswith("-open"))
    assert set(colours.DASHES) <= set(colours.LINES)
    with pytest.raises(ValueError, match="no-such"):
        marks.marker("no-such")


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [(".0%", 0.25, "25%"), ("+.0%", 0.25, "+25%"), ("~g", -0.5, "−0.5"), (".2f", 1.234, "1.23")],
)
def test_numbers_are_written_as_the_axis_says(form, value, text):
    assert texts.formatter(form)(value, None) == text


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="tickformat"):
        texts.formatter("%d %B")
    figure = drawing.new_figure()
    figure.add_pie(values=[1, 2])
    with pytest.raises((ValueError, AttributeError)):
        drawn(figure)


# --- texts of other people --------------------------------------------------------------------------


@EACH
def test_foreign_names_are_shown_as_they_are(name, finished, analysed):
    task, of = finished(name), analysis(name)
    arrays, places = load_arrays(analysed, task), iter(range(1000))
    result = seen(of.result(task), lambda _: f"{hostile.NAME} $x^2$ {next(places)}")
    found = []
    for each in archive.panels(of, result, arrays):
        static = drawn(each.figure)
        for text in static.findobj(Text):
            shown = text.get_text()
            if shown.startswith(r"$\mathdefault{10^"):
                continue  # numbers of a logarithmic axis, by matplotlib itself
            assert text._preprocess_math(shown)[1] is False, "no formula"
            found.append("".join(shown.replace(DOLLAR, "$").split()))
    wanted = "".join(hostile.NAME.split())
    assert any(wanted in text for text in found), "to the letter"


# --- numbers ----------------------------------------------------------------------------------------


@EACH
def test_every_panel_but_pictures_has_its_numbers(name, panels):
    for each in panels(name):
        rows = table.rows(each.figure)
        pictures = all(trace.type == "image" for trace in each.figure.data)
        assert pictures == (rows == []), each.title
        if rows:
            assert len(list(csv.DictReader(io.StringIO(csv_text(rows))))) == len(rows)


def test_rows_of_points_bands_and_cells():
    figure = drawing.new_figure()
    band = {"x": [0, 1, 1, 0], "y": [2.0, 3.0, 1.0, 0.0]}
    figure.add_scatter(**band, fill="toself", legendgroup="a", showlegend=False)
    error = {"type": "data", "array": [0.1, 0.2]}
    figure.add_scatter(x=[0, 1], y=[1.0, 2.0], name="A<br>set", legendgroup="a", error_y=error)
    assert table.rows(figure) == [
        {"series": "A set", "x": 0, "low": 0.0, "high": 2.0},
        {"series": "A set", "x": 1, "low": 1.0, "high": 3.0},
        {"series": "A set", "x": 0, "y": 1.0, "y_error": 0.1},
        {"series": "A set", "x": 1, "y": 2.0, "y_error": 0.2},
    ]
    cells = drawing.new_figure()
    cells.add_heatmap(z=[[1.0, None], [3.0, 4.0]], x=["a", "b"], y=["c", "d"])
    assert [(r["x"], r["y"], r["value"]) for r in table.rows(cells)] == [
        ("a", "c", 1.0),
        ("a", "d", 3.0),
        ("b", "d", 4.0),
    ]


# --- files ------------------------------------------------------------------------------------------


def test_fonts_are_embedded_and_the_width_is_that_of_a_column(panels):
    for width, inches in panel.WIDTHS.items():
        pdf = panel.content(panels("pixels")[0], "pdf", width)
        assert b"/FontFile2" in pdf, "TrueType, inside"
        (box,) = re.findall(rb"/MediaBox \[ *0 0 ([\d.]+)", pdf)
        assert float(box) == pytest.approx(inches * INCH, abs=0.5)


def test_where_it_comes_from_is_written_unless_it_is_unwanted(finished, analysed, panels):
    task = finished("pixels")
    line = provenance.of_analysis(analysed, task)
    for key in task.spec().run_keys:
        assert key[:8] in line
    assert "seeds 0, 1" in line or "seeds 1, 0" in line
    assert task.key[:8] in line and "commit" in line
    assert f"computed on cpu in {duration(task.result()['seconds'])};" in line
    first = panels("pixels")[0].figure
    named, bare = (panel.draw(first, 3.25, 2.0, each) for each in (line, ""))
    assert " ".join(named.get_supxlabel().split()) == line
    assert bare.get_supxlabel() == ""
    assert named.get_figheight() > bare.get_figheight(), "the plot itself loses no height"
    mixed = provenance.of_analysis(analysed, finished("mixing"))
    nets = finished("mixing").spec().nets
    assert f"n = {nets} network" in mixed


def test_one_zip_of_several_analyses(finished, analysed):
    tasks = [finished("pixels"), finished("recognition")]
    one, two = (archive.of_tasks(analysed, tasks, "svg", "single") for _ in range(2))
    assert one == two
    with zipfile.ZipFile(io.BytesIO(one)) as file:
        names = file.namelist()
        assert archive.README in names
        for task in tasks:
            of = analysis(task.kind)
            count = len(archive.panels(of, of.result(task), load_arrays(analysed, task)))
            own = [n for n in names if n.startswith(f"{task.kind}/")]
            assert sum(n.endswith(".svg") for n in own) == count
            assert f"{task.kind}/numbers.csv" in own
            assert task.key[:8].encode() in file.read(archive.README)


def test_the_command_writes_the_same_zip(finished, analysed, monkeypatch, tmp_path, capsys):
    from analysis import __main__ as command

    task, out = finished("pixels"), tmp_path / "figures.zip"
    keys = [f"--run={key}" for key in task.spec().run_keys]
    monkeypatch.setattr(command, "Store", lambda: analysed)
    monkeypatch.setattr(command, "make_spec", lambda *asked: task.spec())
    asked = ["figures", *keys, "--only=pixels", "--format=svg", "--width=double", str(out)]
    assert command.main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(out), "tasks": [task.key]}
    assert out.read_bytes() == archive.of_tasks(analysed, [task], "svg", "double")
    assert command.main([*asked, "--unnamed", "--force"]) == 0
    bare = archive.of_tasks(analysed, [task], "svg", "double", named=False)
    assert out.read_bytes() == bare


def test_small_pictures_name_what_the_page_does_not(finished, analysed, monkeypatch):
    """Sets have their colours named above the cards; nothing else names what is drawn beside them."""
    task, legends = finished("curvature"), []
    kept = panel.draw

    def watched(*given, **more):
        static = kept(*given, **more)
        legends.append([t.get_text() for legend in static.legends for t in legend.get_texts()])
        return static

    monkeypatch.setattr(panel, "draw", watched)
    path = task.folder / thumbnail.NAME
    path.unlink(missing_ok=True)
    content = thumbnail.of_task(analysed, task)
    assert Image.open(io.BytesIO(content)).width == thumbnail.WIDTH
    labels = {run.label for run in analysis("curvature").result(task).runs}
    assert legends[0] and not labels & set(legends[0])
    assert thumbnail.of_task(analysed, task) == content and len(legends) == 1
    wide = io.BytesIO()
    Image.new("RGB", (640, 409)).save(wide, "png")
    path.write_bytes(wide.getvalue())
    assert thumbnail.of_task(analysed, task) == content, "one of another width is drawn anew"


def test_long_legends_are_left_out_of_small_pictures():
    figure = go.Figure([go.Scatter(y=[1, 2], name=f"real {i}") for i in range(thumbnail.NAMED)])
    thumbnail.without_sets(figure, {"DM"})
    assert figure.layout.showlegend is None
    figure.add_scatter(y=[1, 2], name="DM")
    thumbnail.without_sets(figure, {"DM"})
    assert figure.data[-1].showlegend is False and figure.layout.showlegend is None
    figure.add_scatter(y=[1, 2], name="one more")
    thumbnail.without_sets(figure, {"DM"})
    assert figure.layout.showlegend is False


def test_titles_of_narrow_parts_are_broken_into_lines():
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2, subplot_titles=("short", "a title that is far too long for it"))
    for column in (1, 2):
        figure.add_scatter(y=[1, 2], row=1, col=column)
    titles = [place.get_title() for place in panel.draw(figure, 2.5, 1.6).axes]
    assert titles[0] == "short" and "\n" in titles[1]
    static = panel.draw(figure, 2.5, 1.6)
    static.draw_without_rendering()
    one, other = (axes.title.get_window_extent() for axes in static.axes)
    assert one.x1 < other.x0, "titles do not run into each other"


def test_options_of_the_page_are_those_of_the_panel(finished, analysed):
    task, of = finished("curvature"), analysis("curvature")
    result, arrays = of.result(task), load_arrays(analysed, task)
    usual = picked(of, result)
    other = {}
    for option in of.options(result, dict(usual)):
        other[option.name] = list(option.choices)[-1]
    titles = [p.title for p in archive.panels(of, result, arrays, other)]
    assert titles == [d.title for d in of.figures(seen(result, plain), arrays, other)]
    assert titles != [p.title for p in archive.panels(of, result, arrays, usual)]


def test_axes_beside_each_other_have_their_own_places(panels):
    (distances, *_) = [p for p in panels("neighbours") if len(axes.pairs(p.figure)) > 1]
    static = drawn(distances.figure)
    left, right = static.axes[:2]
    assert left.get_position().x1 <= right.get_position().x0
    assert left.get_title() != right.get_title() != ""
