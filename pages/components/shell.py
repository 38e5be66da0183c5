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
from urllib.parse import parse_qsl, urlsplit

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ddcore.base import environment, paths
from ddcore.base.errors import DDError, NotReady, refused_by_system
from ddcore.base.foreign_text import plain
from ddcore.sets.distilled import KINDS
from ddcore.tasks import jobs, launchers, queue
from ddcore.tasks.store import KEY_PATTERN, Store, Task
from pages.components import frame, permissions, teach, views

PRODUCT = "Dataset Distillation Explorer"
RUN = "run"  # the query parameter that names the current run
HOME = "app.py"
SIDEBAR = 224  # screen pixels: the longest name of a page in small letters, and no more
FAVICON = str(Path(__file__).with_name("icon.png"))
BADGE_EVERY_S = 3.0
ANALYSES = "Understand"  # the section of analysis pages
# Links show the keyboard's focus as buttons do; the chosen segment or pill and the value of a slider are as
# readable as the rest (Streamlit writes them in the primary colour, which has a contrast of 3.5 to 3.9 in the
# dark theme), and so are the word of an open popover, which would have 1.2, and code, some of whose colours
# have 2.7 in the light theme. Narrow margins and small titles leave the first screen to what a page is about.
CSS = """<style>
a[data-testid="stPageLink-NavLink"]:focus-visible {
  outline: 2px solid #3a8fa8; outline-offset: -2px;
}
button[data-testid="stPopoverButton"][aria-expanded="true"] { color: inherit; }
button[data-variant="segmented_control"][data-selected]:not([data-disabled]) { color: inherit; }
button[data-variant="pills"][data-selected]:not([data-disabled]) { color: inherit; }
[data-testid="stSliderThumbValue"] { color: inherit; }
[data-testid="stCode"] code .token { color: inherit !important; }
[data-testid="stHeader"], [data-testid="stSidebarHeader"] { height: 2.25rem; min-height: 0; }
[data-testid="stSidebarHeader"] { margin-bottom: 0; }
[data-testid="stSidebarContent"] { padding: 0 .75rem; }
[data-testid="stSidebarUserContent"] { padding: .5rem 0 2rem; }
[data-testid="stSidebarUserContent"] a p { font-size: .875rem; }
[data-testid="stSidebarUserContent"] > div > [data-testid="stVerticalBlock"] { gap: .7rem; }
[data-testid="stMainBlockContainer"] { padding: 2.5rem 2.5rem 3rem; }
[data-testid="stMainBlockContainer"] h1 { font-size: 1.6rem; line-height: 1.2; padding: 0 0 1rem; }
[data-testid="stMainBlockContainer"] h2 { font-size: 1.3rem; }
@media (max-width: 1100px) {
  [data-testid="stMainBlockContainer"] { padding: 2.25rem 1.25rem 2rem; }
  [data-testid="stMainBlockContainer"] h1 { font-size: 1.35rem; padding: 0 0 1rem; }
}
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
    st.set_page_config(
        page_title=name, page_icon=FAVICON, layout="wide", initial_sidebar_state=SIDEBAR
    )
    st.html(CSS)
    frame.begin(_follow)
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
    with boundary():
        frame.end(title)


def _follow(address: str) -> None:
    """Go to a view of this dashboard, such as "Images?run=..."; says so if there is no such page."""
    parts = urlsplit(address)
    known = {Path(entry.path).stem.partition("_")[2]: entry.path for entry in pages()}
    path = known.get(parts.path.strip("/"))
    if views.check("page", parts.path, path is not None, views.one_of([k for k in known if k])):
        st.switch_page(path, query_params=dict(parse_qsl(parts.query)))


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
    parameters = {RUN: run_key(), views.TEACH: teach.link(), **query}
    kept = {k: v for k, v in parameters.items() if v}
    st.page_link(path, label=label, icon=icon, query_params=kept or None)


def go(path: str, **query: str) -> None:
    """Switch to a page, as `link` would."""
    st.switch_page(path, query_params=query | ({views.TEACH: teach.link()} if teach.link() else {}))


def head(key: str = "page") -> DeltaGenerator:
    """What stands above the thing itself, close together."""
    return st.container(gap="xxsmall", key=f"{key}.head")


def main() -> DeltaGenerator:
    """What a page is about, where that is a list or a form and no picture: it begins on the first screen."""
    return st.container(key="page.main")


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
    kept = {k: v for k, v in ((RUN, run_key()), (views.TEACH, teach.link())) if v}
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
            query_params=kept or None,
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
        st.caption(f"{plain(card.facts)} · {key[:8]}")


def _machine() -> None:
    names = [d.split(":")[0] for d in queue.devices()]
    gpus = names.count("cuda")
    device = f"{gpus} GPU{'s' if gpus > 1 else ''}" if gpus else "CPU only"
    if scheduler := launchers.chosen():
        device = scheduler.title
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
