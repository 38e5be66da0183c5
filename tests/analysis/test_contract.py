"""What every analysis promises; a new file in `analysis/` is tested on landing."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import MISSING, fields

import numpy as np
import pytest
from markupsafe import escape

from analysis import analyses, analysis
from analysis.__main__ import main
from analysis.contract import PRESETS, seen
from analysis.export import csv_text
from analysis.results import from_dict
from analysis.runs import Chosen, Run, choose
from analysis.settings import estimate, picked
from analysis.settings import make_spec as analysis_make_spec
from analysis.task import lacks_images, load_arrays
from ddcore.base import paths
from ddcore.base.errors import Damaged, SpecError
from ddcore.base.fields import declared
from ddcore.base.foreign_text import plain, unescaped
from ddcore.base.specs import task_from_document
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.tasks import jobs, worker
from ddcore.tasks.store import Store
from ddcore.training.speed import usual
from tests.analysis.conftest import computed, sets_for, smallest
from tests.pages import hostile
from tests.pages.fakes import done, spec

NAMES = list(analyses())
EACH = pytest.mark.parametrize("name", NAMES)
TEXTS = ("question", "read", "doubt", "paper", "differs")
DATA = [
    ("digits", (1, 8, 8)),
    ("coloured_digits", (3, 8, 8)),
    ("mnist", (1, 28, 28)),
    ("cifar10", (3, 32, 32)),
]
BUNDLED = ("digits", "coloured_digits")


def numbers(result: dict) -> dict:
    """A result without what differs from one time to the next."""
    return {k: v for k, v in result.items() if k not in ("seconds", "cpu_seconds", "versions")}


@EACH
def test_computes_the_same_twice(name, finished, tmp_path):
    first = finished(name)
    json.dumps(first.result(), allow_nan=False)
    other = Store(tmp_path, gallery=None)
    again = computed(other, smallest(other, name, sets_for(other, name)))
    assert again.key == first.key
    assert numbers(again.result()) == numbers(first.result())
    theirs = again.arrays()
    for key, values in first.arrays().items():
        np.testing.assert_array_equal(values, theirs[key])
    facts = first.result()
    assert {r["key"] for r in facts["runs"]} == set(first.spec().run_keys)
    assert len({r["label"] for r in facts["runs"]}) == len(facts["runs"])
    assert facts["seconds"] > 0
    assert facts["work"] > 0
    assert facts["versions"]["numpy"]


@EACH
def test_a_result_is_read_as_it_was_written(name, finished):
    """To the letter, whatever its schema: the file is what others keep."""
    task, of = finished(name), analysis(name)
    result = of.result(task)
    assert isinstance(result.found, of.found)
    text = (task.folder / "result.json").read_text()
    assert json.dumps(result.to_dict(), indent=1) == text
    stored = task.result()
    for lacking in (f.name for f in fields(of.found) if f.default is MISSING):
        with pytest.raises(Damaged, match=lacking):
            from_dict(of.found, {k: v for k, v in stored.items() if k != lacking})


@EACH
@pytest.mark.parametrize("images", [True, False])
def test_figures_for_every_option(name, images, finished, analysed):
    """With real images and without, as on a machine that has not read the dataset."""
    import plotly.graph_objects as go

    task, of = finished(name), analysis(name)
    result = of.result(task)
    arrays = load_arrays(analysed, task) if images else task.arrays()
    usual = picked(of, result)
    views = [usual]
    for option in of.options(result, dict(usual)):
        for choice in list(option.choices)[:12]:

            def pick(o, option=option, choice=choice):
                return choice if o.name == option.name else next(iter(o.choices))

            views.append(picked(of, result, pick))
    for view in views:
        drawn = of.figures(result, arrays, view)
        assert drawn
        for d in drawn:
            assert d.title
            assert len(d.caption) > 20
            assert isinstance(d.figure, go.Figure)
            assert d.figure.data
            assert "NaN" not in d.caption + d.title


@EACH
def test_table_sentence_and_pictures(name, finished, analysed):
    task, of = finished(name), analysis(name)
    result, arrays = of.result(task), load_arrays(analysed, task)
    assert not lacks_images(arrays)
    rows = of.table(result, arrays)
    read = list(csv.DictReader(io.StringIO(csv_text(rows))))
    assert len(read) == len(rows) > 0
    assert all(np.isfinite(v) for row in rows for v in row.values() if isinstance(v, float))
    short = of.headline(result)
    assert short.endswith(".") and len(short.split()) <= 20, short
    text = of.sentence(result)
    assert text.endswith(".")
    assert len(text) > 40
    assert "nan" not in text
    assert any(run.label in text for run in result.runs)
    for group in [*of.pictures(result, arrays), *of.pictures(result, task.arrays())]:
        assert group.title
        assert len(group.pixels) == len(group.labels) > 0
        assert group.pixels.shape[1:] == result.shape


@EACH
def test_foreign_names_are_no_markup(name, finished, analysed):
    """In figures, sentences, static figures and tables; `hostile` differs for each run and class."""
    task, of = finished(name), analysis(name)
    arrays, places = load_arrays(analysed, task), iter(range(1000))
    result = seen(of.result(task), lambda text: f"{hostile.NAME} {next(places)}")
    shown = seen(result, plain)
    texts = [of.headline(shown), of.sentence(shown)]
    for drawn in of.figures(shown, arrays, picked(of, shown)):
        texts += [drawn.title, drawn.caption, *map(str, leaves(drawn.figure.to_dict()))]
    for text in texts:
        assert not any(
            raw in text for raw in ("![x]", "](http", "<img", "$x^2$", ":red[", "`c`")
        ), text
    assert any("foreign.invalid" in unescaped(text) for text in texts)
    of.pictures(result, arrays)
    assert "\n=" not in csv_text([{"a": "=1"}, *of.table(result, arrays)])


def leaves(value: object):
    """Every text in the parts of a figure."""
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, str):
        yield value
    elif not isinstance(value, (bytes, np.ndarray)) and hasattr(value, "__iter__"):
        for one in value:
            yield from leaves(one)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        yield from map(str, value.ravel())


@pytest.mark.parametrize("name", ["pixels", "recognition"])
def test_report_shows_foreign_names_as_they_are(name, finished, analysed, monkeypatch):
    from html.parser import HTMLParser

    from analysis.report import html
    from ddcore.tasks.store import Task

    task = finished(name)
    found = analysis(name).result(task)
    result = seen(found, lambda text: f"{hostile.NAME} <b>{text}</b>").to_dict()
    read = Task.result
    monkeypatch.setattr(Task, "result", lambda t: result if t.key == task.key else read(t))
    page = html([task], analysed)
    page = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    found = []
    parser = HTMLParser(convert_charrefs=True)
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(page)
    assert not [a for tag, a in found if tag == "img" and not a["src"].startswith("data:image/png")]
    assert not [tag for tag, _ in found if tag in ("a", "iframe", "object")]
    assert "!&#91;x&#93;" in page
    assert "&amp;#91;" not in page  # readers see the name, not its entities


@EACH
def test_no_real_image_is_stored(name, finished, analysed):
    """Results are passed on; pictures of real images are read from the dataset by their rows."""
    stored = finished(name).arrays()  # reads the dataset too
    data = load(analysed, DataSpec(name=analysis(name).smallest_data))
    real = {
        x.tobytes() for part in ("train", "val", "test") for x in getattr(data, f"{part}_images")
    }
    for name_of, values in stored.items():
        if values.ndim == 4 and values.shape[1:] == data.shape:
            pixels = values if values.dtype == np.uint8 else np.rint(255 * values.clip(0, 1))
            copies = sum(x.astype(np.uint8).tobytes() in real for x in pixels)
            assert not copies, name_of


@EACH
def test_texts(name):
    of = analysis(name)
    assert of.name == name
    assert name == of.spec.KIND
    assert of.question.endswith("?")
    assert of.icon.startswith(":material/")
    for text in TEXTS:
        body = getattr(of, text)
        assert len(body) > 25, text
        assert body == body.strip(), text
    assert "Yang et al." in of.paper
    assert of.spec.__doc__
    same = [a.name for a in analyses().values() if a.order == of.order and a.name != name]
    assert not same, f"order {of.order} is that of {same[0]}: take another"


@EACH
def test_presets_and_estimates(name, store):
    for data, shape in DATA:
        for ipc in (1, 10):
            _presets_and_estimates(analysis(name), data, shape, ipc, store)


def _presets_and_estimates(of, data, shape, ipc, store):
    run = Run("0" * 16, "dm", "Distribution matching", ipc, 10 * ipc)
    source = "bundled" if data in BUNDLED else "torchvision"
    names = tuple("0123456789")
    nets = {run.key: usual(shape)}
    chosen = Chosen((run,), DataSpec(name=data, source=source), names, shape, nets)
    if ipc < of.least_ipc:
        with pytest.raises(SpecError, match="images per class"):
            analysis_make_spec(of, chosen)
        return
    if expected := of.lacking(chosen.data):
        with pytest.raises(SpecError, match=re.escape(expected)):
            analysis_make_spec(of, chosen)
        assert data != of.smallest_data
        return
    seconds = []
    for preset in PRESETS:
        wanted = analysis_make_spec(of, chosen, preset)
        guess = estimate(of, wanted, chosen, store)
        assert guess.seconds > 0
        assert guess.memory > 0
        assert guess.disk > 0
        seconds.append(guess.seconds)
        assert task_from_document(wanted.document()) == wanted
    assert seconds[0] <= seconds[-1] * 1.01


@EACH
def test_pools_are_shared_and_counted_once(name, finished, analysed):
    task, of = finished(name), analysis(name)
    wanted = task.spec()
    chosen = choose(analysed, wanted.run_keys)
    pools = of.pools(wanted, chosen)
    assert all(analysed.task(pool).is_done() for pool in pools.values())
    there = estimate(of, wanted, chosen, analysed)
    fresh = estimate(of, wanted.replace(seed=5), chosen, analysed)
    counted = {p.key for p in of.pools(wanted.replace(seed=5), chosen).values()}
    known = estimate(of, wanted.replace(seed=5), chosen, analysed, but=counted)
    assert there.seconds == pytest.approx(known.seconds)
    assert fresh.seconds >= known.seconds
    assert (fresh.seconds > known.seconds) == bool(pools)


@EACH
def test_refuses_what_is_no_set(name, store):
    of = analysis(name)
    keys = sets_for(store, name)
    for wrong in ((), (keys[0], keys[0]), ("../../etc",), tuple(f"{i:016x}" for i in range(9))):
        with pytest.raises(SpecError, match="run_keys"):
            of.spec(run_keys=wrong)
    with pytest.raises(SpecError, match=r"run_keys = '0123456789abcdef' .* finished runs"):
        choose(store, [keys[0], "0123456789abcdef"])
    with pytest.raises(SpecError, match="preset"):
        analysis_make_spec(of, choose(store, keys), "x")
    with pytest.raises(SpecError, match="nothing_like_it"):
        analysis_make_spec(of, choose(store, keys), settings=[("nothing_like_it", "1")])
    assert of.spec(run_keys=tuple(keys)) == of.spec(run_keys=tuple(reversed(keys)))


@EACH
def test_refuses_sets_of_different_data(name, store):
    of = analysis(name)
    other = spec()
    other = done(store, other.replace(data=other.data.replace(preprocess="zca")))
    keys = (sets_for(store, name)[0], other.key)
    with pytest.raises(SpecError, match="zca") as error:
        choose(store, keys)
    assert error.value.field == "run_keys"
    task = store.create(wanted := of.spec(run_keys=keys, **of.smallest))
    with pytest.raises(SpecError):  # the task itself refuses too, before it computes anything
        worker.run_task(store, task, wanted, "cpu")
    assert not list(store.tasks("dataset"))


@EACH
def test_command_line(name, analysed, finished, monkeypatch, capsys):
    task, of = finished(name), analysis(name)
    monkeypatch.setenv("DD_CACHE", str(analysed.root))
    monkeypatch.setattr(paths, "GALLERY", analysed.root / "none")
    monkeypatch.setattr(jobs, "launch", lambda tasks: pytest.fail("it is there already"))
    line = [name, "--json"]
    for key in task.spec().run_keys:
        line += ["--run", key]
    for field in (f.name for f in fields(of.spec) if f.name != "run_keys"):
        value = getattr(task.spec(), field)
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        line += ["--set", f"{field}={text}"]
    assert main(line) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["key"] == task.key
    assert answer["answer"] == of.sentence(of.result(task))
    assert main([*line, "--set", "seed=-1"]) == 2
    assert "seed = -1 is not allowed" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_help_tells_every_field(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for field, said in declared(analysis(name).spec).items():
        assert said.help in shown or field == "run_keys", field


def test_command_line_names_runs_by_their_beginning(analysed, monkeypatch, capsys):
    monkeypatch.setenv("DD_CACHE", str(analysed.root))
    monkeypatch.setattr(paths, "GALLERY", analysed.root / "none")
    assert main(["list", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == NAMES
    key = next(analysed.tasks("distill")).key
    assert main([NAMES[0], "--run", key[:8], "--dry-run"]) == 0
    assert "It" not in capsys.readouterr().err
    assert main([NAMES[0], "--run", "zz"]) == 2
    assert "No run 'zz' here" in capsys.readouterr().err
    assert main([NAMES[0], "--run", ""]) == 2


def test_report_opens_without_a_network(finished, analysed):
    from analysis.report import html

    tasks = [finished(name) for name in NAMES]
    text = html(tasks, analysed)
    for of, task in zip(analyses().values(), tasks):
        assert escape(of.question) in text
        assert task.key in text
        assert of.figures(of.result(task), task.arrays(), picked(of, of.result(task)))
    assert "<script src" not in text
    assert "<link" not in text
    assert "url(http" not in text
    assert text.count("<section>") == text.count("</section>") == len(NAMES)
    assert text.count("plotly.js v") <= 3  # the library is inlined once


def test_importing_needs_nothing_heavy():
    code = (
        "import sys, analysis.contract, analysis.__main__; from analysis import analyses; analyses();"
        "bad = {'torch', 'plotly', 'matplotlib', 'seaborn', 'umap', 'numba', 'streamlit', 'pandas',"
        "'sklearn', 'scipy'} & set(sys.modules); sys.exit(', '.join(sorted(bad)) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=paths.PROJECT, capture_output=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.slow
def test_computing_needs_no_figures(analysed):
    for name in NAMES:
        sets_for(analysed, name)
    code = (
        "import sys; from ddcore.tasks.store import Store; from ddcore.tasks import worker;"
        "from analysis import analyses; store = Store(sys.argv[1], gallery=None);"
        "keys = {t.spec().data.name: t.key for t in store.tasks('distill')}\n"
        "for a in analyses().values():\n"
        "    spec = a.spec(run_keys=(keys[a.smallest_data],), **a.smallest); task = store.create(spec)\n"
        "    worker.run_task(store, task, spec, 'cpu'); assert task.is_done()\n"
        "bad = {'plotly', 'matplotlib', 'seaborn', 'streamlit'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(bad)) or 0)"
    )
    line = [sys.executable, "-c", code, str(analysed.root)]
    found = subprocess.run(line, cwd=paths.PROJECT, capture_output=True)
    assert found.returncode == 0, found.stderr.decode()[-1000:]


def test_labels_say_what_differs(store):
    """The method's name where that is enough, then variant, size, seed, and the key at last."""
    from ddcore.data.spec import DataSpec
    from ddcore.distil.settings import make_spec
    from tests.pages.fakes import SHAPE

    def key(method: str = "dm", **changes: object) -> str:
        return done(store, make_spec(method, DataSpec(), SHAPE, **changes), method=method).key

    def labels(*keys: str) -> list[str]:
        return [run.label for run in choose(store, keys).runs]

    plain, seeded, larger = key(), key(seed=1), key(ipc=10)
    fixed, unknown = (key("dd2018", settings=[("setting", s)]) for s in ("fixed", "unknown"))
    other = key(settings=[("lr", "3.0")])
    assert labels(plain) == ["Distribution matching"]
    assert labels(plain, seeded) == [f"Distribution matching, seed {s}" for s in (0, 1)]
    assert labels(larger, plain) == [f"Distribution matching, {n} per class" for n in (1, 10)]
    assert {text.rpartition(", ")[2] for text in labels(plain, other)} == {plain[:6], other[:6]}
    names = labels(unknown, fixed, plain)
    assert names[0] == "Distribution matching"  # the paper's methods come first
    assert set(names[1:]) == {
        f"Dataset distillation (2018), {s} setting" for s in ("fixed", "unknown")
    }


def test_every_method_has_a_look_of_its_own(monkeypatch):
    """So do twenty more, that nobody has named a colour for, and none of today's looks changes."""
    from analysis.shared import colours
    from ddcore.distil import contract

    today = {name: colours.style(name) for name in contract.methods()}
    more = [*today, *(f"new-{i}" for i in range(20))]
    monkeypatch.setattr(contract, "methods", lambda: dict.fromkeys(more))
    looks = [colours.style(name) for name in [*more, "a set from a file"]]
    for symbol in (True, False):  # markers in figures, dashes in lines
        assert len({(s.colour, s.symbol if symbol else s.dash) for s in looks}) == len(looks)
    assert {name: colours.style(name) for name in today} == today
    assert colours.style("bptt").colour == "#E69F00"
    one, two, three = colours.styles(["dm", "dm", "mtt"])
    assert one.colour == two.colour == "#0072B2"
    assert one.dash != two.dash
    assert one.symbol != two.symbol
    assert three.dash == "solid"
