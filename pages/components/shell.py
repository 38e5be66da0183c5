"""The frame of every page: title, sidebar, current run, error boundary.

A page is a file in `pages/` whose first statement after its imports is

    with shell.page("Images", section="Look", icon=":material/grid_view:"):
        main()

That call (or `analysis_page.show("recognition")`, which makes it from the analysis's declaration) is all
the registration there is: the sidebar reads it from the source of each file. The number in front of the
file name gives the order, sections appear in the order of their first page, and `about` is the tooltip of
the link. Code that reruns on its own (a fragment) wraps its body in `shell.boundary()`.
"""

from __future__ import annotations

import ast
import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ddcore.base import environment, paths
from ddcore.base.errors import DDError, NotReady, refused_by_system
from ddcore.base.foreign_text import plain
from ddcore.sets.distilled import KINDS
from ddcore.tasks import jobs, queue
from ddcore.tasks.store import KEY_PATTERN, Store, Task
from pages.components import permissions

PRODUCT = "Dataset Distillation Explorer"
RUN = "run"  # the query parameter that names the current run
HOME = "app.py"
FAVICON = str(Path(__file__).with_name("icon.png"))
BADGE_EVERY_S = 3.0
ANALYSES = "Understand"  # the section of analysis pages
# Links show the keyboard's focus as buttons do; the chosen segment is as readable as the others (Streamlit
# writes it in the primary colour, which has a contrast of 3.5 in the dark theme), and so is the word of an
# open popover, which would have 1.2. A title leaves the first screen to what the page is about.
CSS = """<style>
a[data-testid="stPageLink-NavLink"]:focus-visible {
  outline: 2px solid #3a8fa8; outline-offset: -2px;
}
button[data-testid="stPopoverButton"][aria-expanded="true"] { color: inherit; }
button[data-variant="segmented_control"][data-selected]:not([data-disabled]) { color: inherit; }
[data-testid="stMainBlockContainer"] { padding: 3.75rem 2.5rem 3rem; }
[data-testid="stMainBlockContainer"] h1 { font-size: 1.6rem; line-height: 1.2; padding: 0 0 .9rem; }
</style>"""


@dataclass(frozen=True)
class Entry:
    """A page as the sidebar shows it; `path` is relative to the project."""

    path: str
    title: str
    section: str
    icon: str
    about: str
    order: int = 0  # among the pages of the same number


def store() -> Store:
    """The store every page reads and submits to (two paths: making one costs nothing)."""
    return Store(paths.store_root(), paths.GALLERY)


# --- the frame ------------------------------------------------------------------------------------


@contextlib.contextmanager
def page(
    title: str, *, section: str = "", icon: str = "", about: str = "", order: int = 0
) -> Iterator[None]:
    """Set the page up, draw the sidebar, and turn expected errors of the body into one sentence.

    `order` is the place among pages of the same number; only the sidebar reads it.
    """
    name = PRODUCT if not section else f"{title} · {PRODUCT}"
    # A file of ours: a material icon in the browser's tab would be fetched from the internet.
    st.set_page_config(page_title=name, page_icon=FAVICON, layout="wide")
    st.html(CSS)
    with st.sidebar:
        _links()
        here = st.container()
    _require_settings()
    with st.sidebar, boundary():
        _machine()
        permissions.account()
    with boundary():
        yield
    with here, boundary():
        _current_run()


def _require_settings() -> None:
    """Stop here, with a sentence, where the machine's settings are not usable: no page could work."""
    try:
        environment.check()
    except DDError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()


@contextlib.contextmanager
def boundary() -> Iterator[None]:
    """Show a `DDError`, and what the system refused, as a sentence.

    Anything else is a bug and is shown by Streamlit in full.
    """
    try:
        yield
    except DDError as error:
        st.error(plain(error), icon=":material/error:")
    except OSError as error:  # a full disk, a store that is read-only
        st.error(plain(refused_by_system(error)), icon=":material/error:")


def link(path: str, label: str, *, icon: str | None = None, **query: str | None) -> None:
    """A link to a page that keeps the current run; `query` adds or replaces parameters.

    Draws nothing if there is no such page.
    """
    if not (paths.PROJECT / path).exists():
        return
    parameters = {RUN: run_key(), **query}
    kept = {k: v for k, v in parameters.items() if v}
    st.page_link(path, label=label, icon=icon, query_params=kept or None)


def go(path: str, **query: str) -> None:
    """Switch to a page, as `link` would."""
    st.switch_page(path, query_params=query)


def head(key: str = "page") -> DeltaGenerator:
    """What stands above the thing itself, close together."""
    return st.container(gap="xxsmall", key=f"{key}.head")


def bar(key: str) -> DeltaGenerator:
    """A row of controls above what a page shows."""
    return st.container(horizontal=True, vertical_alignment="center", gap="small", key=key)


# --- the current run ------------------------------------------------------------------------------


def run_key() -> str:
    """The run named by the link, else the last one looked at in this session ("" for none).

    Only its form is checked here; `find_run` says whether there is such a run.
    """
    named = st.query_params.get(RUN, "")
    return named if KEY_PATTERN.fullmatch(named) else st.session_state.get("shell.run", "")


def remember(key: str) -> None:
    """Keep a run as the current one for the pages visited next."""
    st.session_state["shell.run"] = key


def find_run(key: str) -> Task:
    """The task folder of a run named by a link; `NotReady` if it is none (links are untrusted)."""
    task = store().find(key)
    if task.kind not in KINDS:
        raise NotReady(f"{key} is a task of kind {task.kind}, not a distilled set: choose a run.")
    return task


# --- the sidebar ----------------------------------------------------------------------------------


def pages() -> list[Entry]:
    """Every page in the order of the sidebar."""
    files = [paths.PROJECT / HOME, *(paths.PROJECT / "pages").glob("[0-9]*.py")]
    found = [_entry(f, f.stat().st_mtime_ns) for f in files]
    return sorted((entry for entry in found if entry), key=_order)


def _order(entry: Entry) -> tuple[int, int, str]:
    if entry.path == HOME:
        return (-1, 0, "")
    number, _, name = Path(entry.path).name.partition("_")
    return (int(number) if number.isdigit() else 10_000, entry.order, name)


@functools.lru_cache(maxsize=256)
def _entry(file: Path, _mtime_ns: int) -> Entry | None:
    """What a page file says in its `shell.page(...)` call; the file is read, not run."""
    path = file.relative_to(paths.PROJECT).as_posix()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node.func) == "analysis_page.show":
            return _analysis_entry(path, ast.literal_eval(node.args[0]))
        if ast.unparse(node.func) == "shell.page":
            options = {k.arg: ast.literal_eval(k.value) for k in node.keywords}
            return Entry(
                path=path,
                title=ast.literal_eval(node.args[0]),
                section=options.get("section", ""),
                icon=options.get("icon", ""),
                about=options.get("about", ""),
                order=options.get("order", 0),
            )
    return None


def _analysis_entry(path: str, name: str) -> Entry | None:
    from analysis import analyses

    of = analyses().get(name)  # one broken page must not take the sidebar of all others with it
    return Entry(path, of.title, ANALYSES, of.icon, of.question, of.order) if of else None


def _links() -> None:
    st.markdown(f"**{PRODUCT}**")
    run = run_key()
    section = ""
    for entry in pages():
        if entry.section != section:
            section = entry.section
            st.caption(section)
        st.page_link(
            entry.path,
            label=entry.title,
            icon=entry.icon or None,
            help=entry.about or None,
            query_params={RUN: run} if run else None,
        )


def _current_run() -> None:
    from pages.components import runs

    key = run_key()
    if not key:
        return
    try:
        card = runs.card(find_run(key))
    except DDError:
        return
    with st.container(border=True, gap="xxsmall"):
        st.caption("Current run")
        st.markdown(f"**{plain(card.title)}**")
        st.caption(f"{plain(card.facts)} · `{key[:8]}`")


def _machine() -> None:
    names = [d.split(":")[0] for d in queue.devices()]
    gpus = names.count("cuda")
    device = f"{gpus} GPU{'s' if gpus > 1 else ''}" if gpus else "CPU only"
    waiting, running = counts(store())
    with st.container(horizontal=True, gap="xsmall"):
        st.badge(device, icon=":material/memory:", color="gray", help="Where runs are computed.")
        if waiting + running == 0:
            st.badge("idle", icon=":material/check:", color="gray")
        else:
            st.fragment(_busy, run_every=BADGE_EVERY_S)()


def _busy() -> None:
    waiting, running = counts(store())
    parts = [f"{n} {word}" for n, word in ((running, "running"), (waiting, "queued")) if n]
    st.badge(
        ", ".join(parts) or "idle",
        icon=":material/hourglass_top:" if parts else ":material/check:",
        color="blue" if parts else "gray",
    )


def counts(of: Store) -> tuple[int, int]:
    """How many tasks are (queued, running) now. Finished folders are passed over unread."""
    states = [
        jobs.state(Task(status.parent))["state"]
        for status in of.root.glob("*/*/status.json")
        if not (status.parent / "done.json").exists()
    ]
    return states.count("queued"), states.count("running")
