"""`note`, `tag`, `delete`, `restore`: what people write about runs, and deleting with a way back."""

from __future__ import annotations

import argparse
import dataclasses
import time

from ddcore.base.errors import DDError
from ddcore.cli import console
from ddcore.tasks import notes, trash
from ddcore.tasks.store import Store


def add(commands: console.Commands) -> None:
    """The commands and their arguments."""
    sub = commands.add("note", note, "show or write the name, note and star of a run")
    sub.add_argument("run", metavar="KEY")
    sub.add_argument("--name", help='what lists call it; "" takes the name away')
    sub.add_argument("--text", help="a note of some lines")
    sub.add_argument("--star", action=argparse.BooleanOptionalAction, help="star it, or not")
    sub = commands.add("tag", tag, "add tags to a run, or take them away")
    sub.add_argument("run", metavar="KEY")
    sub.add_argument("tags", nargs="+", metavar="TAG")
    sub.add_argument("--remove", action="store_true", help="take these tags away")
    sub = commands.add(
        "delete", delete, "move results to the trash, with what was measured of them"
    )
    sub.add_argument("runs", nargs="+", metavar="KEY")
    sub = commands.add("restore", restore, "bring back what was deleted; without keys: list it")
    sub.add_argument("runs", nargs="*", metavar="KEY")
    sub.add_argument("--empty", action="store_true", help="remove all of it for good")


def note(options: argparse.Namespace) -> None:
    """`note KEY [--name N] [--text T] [--star | --no-star]`."""
    given = {"name": options.name, "text": options.text, "starred": options.star}
    _say(options, notes.change(Store(), options.run, **given))


def tag(options: argparse.Namespace) -> None:
    """`tag KEY TAG... [--remove]`."""
    given = {"drop" if options.remove else "add": options.tags}
    _say(options, notes.change(Store(), options.run, **given))


def _say(options: argparse.Namespace, note: notes.Note) -> None:
    answer = {"key": options.run, **dataclasses.asdict(note)}
    shown = answer | {"tags": ", ".join(note.tags), "starred": "starred" if note.starred else ""}
    console.output(options, answer, lambda: print(console.line(shown)))


def delete(options: argparse.Namespace) -> None:
    """`delete KEY...`."""
    store = Store()
    gone = trash.throw(store, [store.find(key) for key in options.runs])
    names = [f"{task.kind}/{task.key}" for task in gone]
    console.output(options, names, lambda: print("\n".join(names) or "nothing was deleted"))


def restore(options: argparse.Namespace) -> None:
    """`restore [KEY...] [--empty]`."""
    store = Store()
    if options.empty and options.runs:
        raise DDError("Either keys or --empty: emptying leaves nothing to restore.")
    if options.empty:
        names = trash.purge(store, older_than_days=0.0)
    elif options.runs:
        names = [f"{task.kind}/{task.key}" for task in trash.restore(store, options.runs)]
    else:
        names = [
            f"{each.task.kind}/{each.task.key}  {time.strftime('%Y-%m-%d %H:%M', time.localtime(each.at))}"
            for each in trash.thrown(store)
        ]
    console.output(options, names, lambda: print("\n".join(names) or "the trash is empty"))
