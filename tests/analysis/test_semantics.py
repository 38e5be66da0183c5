"""Attributes on drawn images, the test against scipy, planted and random attributes, tables of the user's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from analysis.shared import attributes, significance
from analysis.suite.semantics.compute import attribute_tests, top_of_class
from analysis.suite.semantics.spec import SemanticsTask
from ddcore.base.errors import DataError, SpecError
from ddcore.data import load
from ddcore.data.spec import DataSpec
from ddcore.tasks.store import Store
from tests.analysis.conftest import computed, two_sets

CLASSES, PER_CLASS, IPC = 4, 120, 5
LABELS = np.repeat(np.arange(CLASSES), PER_CLASS)
OWN = np.repeat(np.arange(CLASSES), IPC)


def random_influence(seed: int) -> np.ndarray:
    """(M, N)."""
    return np.random.default_rng(seed).normal(size=(len(OWN), len(LABELS)))


def random_attributes(seed: int, count: int = 6) -> np.ndarray:
    """(N, count) of 0 and 1."""
    return np.random.default_rng(1000 + seed).integers(0, 2, (len(LABELS), count)).astype(float)


def found(values: np.ndarray, influence: np.ndarray) -> np.ndarray:
    """(M, A) discoveries at a rate of .05."""
    chosen = top_of_class(influence, OWN, LABELS, 30)
    return significance.discoveries(attribute_tests(values, LABELS, OWN, chosen).p, 0.05)


# --- the test -------------------------------------------------------------------------------------


def test_p_values_are_those_of_scipy():
    values, influence = random_attributes(0), random_influence(0)
    values[::7, 2] = np.nan
    chosen = top_of_class(influence, OWN, LABELS, 30)
    tested = attribute_tests(values, LABELS, OWN, chosen)
    for j, a in ((0, 0), (7, 2), (19, 5)):
        inside = values[OWN[j] == LABELS, a]
        own = values[chosen[j], a]
        own, inside = own[np.isfinite(own)], inside[np.isfinite(inside)]
        law = hypergeom(len(inside), int(inside.sum()), len(own))
        tails = law.cdf(own.sum()), law.sf(own.sum() - 1)
        assert tested.p[j, a] == pytest.approx(min(1, 2 * min(tails)))
        assert tested.lift[j, a] == pytest.approx(own.mean() - inside.mean())


def test_a_planted_attribute_is_found_and_only_there():
    """Image 3 of class 1 helps images with attribute 4 more, image 2 of class 2 those without attribute 1."""
    values, influence = random_attributes(1), random_influence(1)
    influence[IPC + 3] += 2 * values[:, 4]
    influence[2 * IPC + 2] -= 2 * values[:, 1]
    hits = found(values, influence)
    assert hits[IPC + 3, 4]
    assert hits[2 * IPC + 2, 1]
    assert hits.sum() <= 3
    tested = attribute_tests(values, LABELS, OWN, top_of_class(influence, OWN, LABELS, 30))
    assert tested.lift[IPC + 3, 4] > 0.2
    assert tested.lift[2 * IPC + 2, 1] < -0.2


def test_random_attributes_are_not_found():
    """Where nothing is planted, any discovery is false: at most one family in 20 may have one."""
    false = [found(random_attributes(s), random_influence(s)).any() for s in range(100)]
    assert np.mean(false) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 100)


def test_false_discoveries_stay_within_the_rate_beside_true_ones():
    shares, power = [], []
    for seed in range(40):
        values, influence = random_attributes(seed), random_influence(seed)
        planted = np.zeros((len(OWN), 6), bool)
        for j in range(0, len(OWN), 2):
            planted[j, j % 6] = True
            influence[j] += 1.5 * values[:, j % 6]
        hits = found(values, influence)
        shares.append((hits & ~planted).sum() / max(hits.sum(), 1))
        power.append(hits[planted].mean())
    assert np.mean(shares) <= 0.06
    assert np.mean(power) > 0.8


def test_an_attribute_that_all_share_or_nobody_knows_is_no_discovery():
    influence = random_influence(0)
    values = np.stack([np.ones(len(LABELS)), np.full(len(LABELS), np.nan)], 1)
    chosen = top_of_class(influence, OWN, LABELS, 30)
    tested = attribute_tests(values, LABELS, OWN, chosen)
    assert (tested.p == 1).all()
    assert (tested.lift == 0).all()


def test_the_best_of_a_quarter_of_the_class_are_taken():
    influence = random_influence(0)
    chosen = top_of_class(influence, OWN, LABELS, 50)
    for j, rows in enumerate(chosen):
        assert len(rows) == PER_CLASS // 4
        assert (LABELS[rows] == OWN[j]).all()
        rest = np.setdiff1d(np.flatnonzero(OWN[j] == LABELS), rows)
        assert influence[j, rows].min() >= influence[j, rest].max()


# --- attributes from pixels -----------------------------------------------------------------------


def bar(shift: float, width: int) -> np.ndarray:
    """A bright bar on black, 16 x 16, whose top is `shift` pixels to the right of its foot."""
    x = np.zeros((1, 1, 16, 16))
    for row in range(2, 14):
        left = round(6 + shift * (13 - row) / 11)
        x[0, 0, row, left : left + width] = 1
    return x


def test_slant_is_the_shear_of_a_bar():
    for shift in (-4, 0, 4):
        found_ = attributes.slant(bar(shift, 2)[:, 0])[0]
        assert found_ == pytest.approx(shift / 11, abs=0.05)


def test_strokes_have_their_width():
    thin, thick = (attributes.stroke(bar(0, w)[:, 0])[0] for w in (2, 5))
    # Twice the area over the edge: 2 w h / (2 w + 2 h), up to the corners.
    assert thin == pytest.approx(24 / 14, rel=0.05)
    assert thick == pytest.approx(60 / 17, rel=0.05)


def test_brightness_edges_and_centre():
    flat, centre = np.full((1, 8, 8), 0.5), np.zeros((1, 8, 8))
    centre[:, 2:6, 2:6] = 1
    board = (np.indices((8, 8)).sum(0) % 2)[None].astype(float)
    assert attributes.edge_density(flat)[0] == 0
    assert attributes.edge_density(board)[0] == 1
    assert attributes.centre_contrast(centre)[0] == 1
    assert attributes.centre_contrast(flat)[0] == 0


def test_hues_are_thirds_of_the_circle():
    colours = {
        (1, 0, 0): 0,
        (1, 0.8, 0): 0,
        (0, 1, 0): 1,
        (0, 0.9, 0.5): 1,
        (0, 0, 1): 2,
        (0.6, 0, 1): 2,
    }
    pixels = np.array([np.broadcast_to(np.array(c)[:, None, None], (3, 4, 4)) for c in colours])
    assert attributes.dominant_hue(pixels).tolist() == list(colours.values())


def test_medians_are_of_the_class():
    values = np.array([1.0, 2, 3, 4, 10, 20, 30, np.nan])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    cut = attributes.above_median(values, labels)
    assert cut[:7].tolist() == [0, 0, 1, 1, 0, 0, 1]
    assert np.isnan(cut[7])
    grey = attributes.computed(np.random.default_rng(0).random((8, 1, 8, 8)), labels)
    colour = attributes.computed(np.random.default_rng(0).random((8, 3, 8, 8)), labels)
    assert "slanted right" in grey
    assert "green" not in grey
    assert "green" in colour
    assert "slanted right" not in colour


# --- a table of the user's ------------------------------------------------------------------------


def test_a_table_is_read_with_gaps_and_scales(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text("index,has hat,size\n0,1,3.5\n2,0,\n3,1,1.5\n\n")
    labels = np.zeros(5, int)
    columns = attributes.read_table(attributes.with_hash(str(file)), 5, labels)
    np.testing.assert_array_equal(columns["has hat"], [1, np.nan, 0, 1, np.nan])
    np.testing.assert_array_equal(columns["size"], [1, np.nan, np.nan, 0, np.nan])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "first line"),
        ("image,a\n0,1\n", "first line"),
        ("index\n0\n", "first line"),
        ("index,a,a\n0,1,1\n", "different names"),
        ("index," + "x" * 41 + "\n0,1\n", "different names"),
        ("index," + ",".join(f"a{i}" for i in range(51)) + "\n", "1 to 50 attributes"),
        ("index,a\n9,1\n", "Line 2 .* numbered 0 to 4"),
        ("index,a\n0,1\n0,1\n", "Line 3 .* a new test image"),
        ("index,a\n0,secret\n", "Line 2 .* 2 cells"),
        ("index,a\n0,inf\n", "Line 2"),
        ("index,a\n0,1,2\n", "Line 2"),
        ("index,a\n0.5,1\n", "Line 2"),
    ],
)
def test_a_wrong_table_is_one_sentence(tmp_path, content, message):
    file = tmp_path / "own.csv"
    file.write_text(content)
    with pytest.raises(DataError, match=message) as error:
        attributes.read_table(attributes.with_hash(str(file)), 5, np.zeros(5, int))
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_no_table_no_text_too_large_or_changed(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"no table passwd: expected the path of a \.csv file"):
        attributes.with_hash("/etc/passwd")
    with pytest.raises(DataError, match=r"no table absent\.csv"):
        attributes.with_hash(str(tmp_path / "absent.csv"))
    file = tmp_path / "own.csv"
    file.write_bytes(b"index,a\n0,\xff\xfe\n")
    named = attributes.with_hash(str(file))
    with pytest.raises(DataError, match="UTF-8"):
        attributes.read_table(named, 5, np.zeros(5, int))
    file.write_text("index,a\n0,1\n")
    with pytest.raises(DataError, match="changed"):
        attributes.read_table(named, 5, np.zeros(5, int))
    monkeypatch.setattr(attributes, "MAX_BYTES", 5)
    with pytest.raises(DataError, match="larger than"):
        attributes.with_hash(str(file))


def test_the_key_says_which_table_was_used(store, tmp_path):
    keys = tuple(two_sets(store))
    with pytest.raises(SpecError, match="labels_csv"):
        SemanticsTask(run_keys=keys, labels_csv=str(tmp_path / "absent.csv"))
    file = tmp_path / "own.csv"
    file.write_text("index,a\n0,1\n")
    one = SemanticsTask(run_keys=keys, labels_csv=str(file))
    assert one == SemanticsTask(run_keys=keys, labels_csv=str(file))
    file.write_text("index,a\n0,0\n")
    other = SemanticsTask(run_keys=keys, labels_csv=str(file))
    assert one.key != other.key
    file.unlink()
    assert SemanticsTask.from_dict(one.to_dict()) == one  # a stored spec needs no file


def test_a_planted_column_of_a_table_is_found(tmp_path, finished):
    """A column that is made from the influence of one image, in a run from sets to result."""
    task = finished("semantics")
    store = Store(task.folder.parent.parent, gallery=None)
    pool = store.find(task.result()["pools"][0])
    first, own = pool.spec().run_key, load(store, DataSpec()).test_labels
    mean = pool.arrays()["influence"].astype(np.float32).mean(0)
    planted = attributes.above_median(mean[0], own).astype(int)
    file = tmp_path / "own.csv"
    lines = [f"{i},{v}" for i, v in enumerate(planted)]
    file.write_text("index,planted\n" + "\n".join(lines))
    again = computed(store, task.spec().replace(run_keys=(first,), labels_csv=str(file)))
    result, arrays = again.result(), again.arrays()
    assert result["attributes"][-1] == "planted"
    assert result["own_table"] == 1
    assert arrays[f"found.raw.{first}"][0, -1]
    assert arrays[f"lift.raw.{first}"][0, -1] > 0.4
