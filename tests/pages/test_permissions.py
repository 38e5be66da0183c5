"""Who may start, stop, delete and open something: one place decides, whatever the buttons say."""

from __future__ import annotations

import ast
import getpass
from pathlib import Path

import pytest

from ddcore.base import paths
from ddcore.data.lookup import resolve
from ddcore.data.spec import DataSpec, dataset_task
from ddcore.distil.settings import make_spec
from ddcore.sets import imported
from ddcore.tasks import jobs
from ddcore.tasks.store import Store
from pages.components import permissions
from tests.pages.fakes import PAGES, SHAPE, decoded, done, put, spec, text

HERE = "pages/components/permissions.py"
CHANGES = {"submit", "cancel", "resume", "prune", "launch"}  # of `jobs`
STARTERS = (
    "start.watch",
    ".start",
    ".resume",
    ".stop",
    "distil.go",
    "open.go",
    "compare.go",
    "data.get",
    "jobs.",
    "runs.do.",
)


@pytest.fixture
def visitors(monkeypatch):
    """The dashboard as a class sees it."""
    monkeypatch.setenv(permissions.VISITORS, "1")


@pytest.fixture
def login(monkeypatch):
    """Streamlit's login is configured; the function says who is logged in."""

    def become(email: str = "", **claims: object) -> None:
        known = {"is_logged_in": bool(email), "email": email, **claims}
        monkeypatch.setattr("streamlit.user_info._get_user_info", lambda: known)

    become()
    return become


def files() -> list[Path]:
    return [paths.PROJECT / "app.py", *(paths.PROJECT / "pages").rglob("*.py")]


@pytest.mark.parametrize("file", files(), ids=lambda p: p.stem)
def test_pages_change_nothing_but_through_permissions(file):
    if file == paths.PROJECT / HERE:
        return
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            owner, _, last = name.rpartition(".")
            of_jobs = owner == "jobs" and last in CHANGES
            of_store = owner in ("store", "shell.store()") and last in ("create", "delete")
            changed = owner == "trash" and last in ("throw", "restore", "purge")
            if (
                of_jobs
                or of_store
                or changed
                or name in ("notes.change", "notes.forget")
                or name == "imported.bring"
                or last in ("write_status", "unlink")
            ):
                found.append(name)
        elif isinstance(node, ast.ImportFrom) and node.module == "ddcore.tasks.jobs":
            found += [a.name for a in node.names if a.name in CHANGES]
    assert not found


def test_whoever_runs_it_may_do_everything(visit, store):
    assert permissions.refusal() == ""
    app = visit("2_Distil.py")
    app.button(key="distil.go").click().run()
    assert [t.status()["state"] for t in store.tasks("distill")] == ["queued"]


@pytest.mark.parametrize("page", PAGES)
def test_visitors_can_press_nothing_that_changes_something(visit, store, visitors, alive, page):
    run = done(store)
    decoded(store)
    put(store, spec(seed=1), "failed", message="no")
    busy = put(store, spec(seed=2), "running", step=1, total=4)
    alive(busy)
    before = sorted(str(p) for p in store.root.rglob("*"))
    for key in (run.key, busy.key) if page == "3_Run.py" else (run.key,):
        app = visit(page, run=key)
        buttons = [b for b in app.button if any(part in b.key for part in STARTERS)]
        for button in buttons:
            if button.key.startswith(("jobs.ask", "exact.start")):
                continue
            assert button.disabled and "Visitors can look" in button.help, button.key
            button.proto.disabled = False  # somebody may speak to the server without a page
            button.click().run()
            assert not app.exception, (button.key, app.exception)
    assert sorted(str(p) for p in store.root.rglob("*")) == before


def test_what_is_there_can_be_looked_at(visit, store, visitors):
    run = done(store)
    assert "are stored for the images" in text(visit("4_Images.py", run=run.key))


def refused(action, *arguments) -> None:
    with pytest.raises(permissions.NotAllowed, match="Visitors can look"):
        action(*arguments)


def test_the_functions_refuse_without_any_button(store, visitors, tmp_path):
    run, failed = done(store), put(store, spec(seed=1), "failed")
    busy = put(store, spec(seed=2), "queued")
    refused(permissions.submit, store, [spec(seed=3)])
    refused(permissions.cancel, busy)
    refused(permissions.resume, store, failed)
    refused(permissions.delete, store, run)
    refused(permissions.prune, store, ("failed",))
    refused(permissions.throw, store, [run])
    refused(permissions.restore, store, [run.key])
    refused(permissions.empty_trash, store)
    refused(permissions.note, store, [run.key])
    refused(permissions.bring, store, spec(seed=4), [b""], ["a.pt"])
    refused(permissions.data_folder, str(tmp_path))
    assert run.is_done() and failed.folder.exists() and not (busy.folder / "cancel").exists()
    assert not store.task(spec(seed=3)).folder.exists()


def test_visitors_open_no_file_and_name_no_folder(visit, store, visitors, tmp_path, monkeypatch):
    monkeypatch.setattr(imported, "bring", lambda *a: pytest.fail("brought"))
    app = visit("6_Open.py")
    app.file_uploader[0].proto.disabled = False
    app.file_uploader[0].set_value([("a.pt", b"no set", "application/octet-stream")])
    app.run()
    assert not app.error and "Visitors can look" in text(app)  # not even read
    shown = text(visit("1_Data.py", data="own", path=str(tmp_path)))
    assert "Visitors can look" in shown and str(tmp_path) not in shown


# --- folders --------------------------------------------------------------------------------------


def test_alone_any_folder_may_be_read(tmp_path):
    assert permissions.data_roots() is None
    assert permissions.data_folder(str(tmp_path)) == str(tmp_path)


def test_roots_hold_after_links_have_been_followed(tmp_path, monkeypatch):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    monkeypatch.setenv(permissions.ROOTS, f"{inside}:{tmp_path / 'more'}")
    assert permissions.data_folder(str(inside / "deeper")) == str(inside / "deeper")
    for path in (
        outside,
        inside / "link",
        inside / ".." / "out",
        tmp_path / "inside",
        "~nosuch",
        "\0",
    ):
        with pytest.raises(permissions.NotAllowed, match=f"expected one in {inside}"):
            permissions.data_folder(str(path))


def test_shared_means_home_and_data(login, store, monkeypatch):
    login("ada@lab.org")
    monkeypatch.setenv(permissions.MANAGERS, "ada@lab.org")
    assert permissions.data_roots() == [Path.home().resolve(), paths.data_root().resolve()]
    assert permissions.data_folder(f"~{getpass.getuser()}/x") == str(Path.home().resolve() / "x")
    with pytest.raises(permissions.NotAllowed, match="/etc"):
        permissions.data_folder("/etc")


def test_another_address_is_shared(monkeypatch):
    for address, shared in (("127.0.0.1", False), ("0.0.0.0", True), (None, True)):
        monkeypatch.setattr("streamlit.get_option", lambda name, value=address: value)
        assert permissions.shared() is shared


def test_a_spec_names_no_folder_outside_either(store, tmp_path, monkeypatch):
    monkeypatch.setenv(permissions.ROOTS, str(tmp_path / "in"))
    data = DataSpec(
        name="folder", source="folder", path=str(tmp_path / "out"), fingerprint="0" * 64
    )
    for asked in (dataset_task(data), make_spec("dm", data, SHAPE)):
        with pytest.raises(permissions.NotAllowed, match="out"):
            permissions.submit(store, [asked])
        assert not store.task(asked).folder.exists()
    permissions.submit(store, [dataset_task(resolve("digits"))])


# --- login ----------------------------------------------------------------------------------------


def test_those_who_are_named_may(login, monkeypatch):
    monkeypatch.setenv(permissions.MANAGERS, "Ada@lab.org, @staff.lab.org")
    assert "Log in" in permissions.refusal()
    for email, may in (
        ("ada@lab.org", True),
        ("ADA@LAB.ORG", True),
        ("x@staff.lab.org", True),
        ("eve@lab.org", False),
        ("staff.lab.org", False),
        ("x@evil-staff.lab.org", False),
    ):
        login(email)
        assert (permissions.refusal() == "") is may, email
    login("ada@lab.org", email_verified=False)
    assert "Log in" in permissions.refusal()


@pytest.mark.parametrize("managers", ["", "  , "])
def test_without_names_nobody_may(login, monkeypatch, managers):
    monkeypatch.setenv(permissions.MANAGERS, managers)
    for email in ("ada@lab.org", "@", "no address"):
        login(email)
        assert permissions.refusal()


def test_jobs_say_who_started_them(visit, store, login, monkeypatch):
    monkeypatch.setenv(permissions.MANAGERS, "ada@lab.org bob@lab.org")
    login("ada@lab.org")
    app = visit("2_Distil.py")
    app.button(key="distil.go").click().run()
    assert not app.exception
    task = next(store.tasks("distill"))
    assert permissions.started_by(task) == "ada@lab.org"
    asked = store.task(task.spec()).spec().document()
    assert task.document() == {k: v for k, v in asked.items() if k != "module"}  # no part of it
    login("bob@lab.org")
    monkeypatch.setattr(jobs, "is_alive", lambda task: True)
    permissions.submit(store, [task.spec()])  # on its way already: still Ada's
    assert "by ada&#64;\u2060lab.org" in text(visit("9_Jobs.py"))
    login("eve@lab.org")
    app = visit("9_Jobs.py")
    stop = next(b for b in app.button if b.key.endswith(".stop"))
    assert stop.disabled and "eve" in stop.help


def test_results_do_not_hold_who_started_them(store, login, compute_done, monkeypatch):
    monkeypatch.setenv(permissions.MANAGERS, "ada@lab.org")
    login("ada@lab.org")
    task = permissions.submit(store, [dataset_task(resolve("digits"))])[0]
    compute_done(store, task)
    assert permissions.started_by(task) == "ada@lab.org"
    assert task.verify() == []
    assert permissions.STARTED not in (task.folder / "done.json").read_text()


@pytest.fixture
def compute_done():
    from ddcore.tasks.worker import run_task

    def compute(store: Store, task) -> None:
        run_task(store, task, task.spec(), "cpu")
        assert task.is_done()

    return compute
