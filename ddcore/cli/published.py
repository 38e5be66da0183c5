"""`reproduce` and `gallery`: published results are made anew, and what is shipped."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ddcore.base.errors import SpecError
from ddcore.cli import console, follow
from ddcore.tasks.store import Store

if TYPE_CHECKING:
    from ddcore.recipes.base import Recipe, Step
    from ddcore.recipes.table import Line
    from ddcore.training.estimate import Estimate


def add(commands: console.Commands) -> None:
    """The commands and their arguments."""
    sub = commands.add("gallery", gallery, "make the shipped digits runs anew from this repository")
    sub.add_argument(
        "--only", action="append", default=[], metavar="METHOD", help="repeat for several"
    )
    sub.add_argument("--table", action="store_true", help="only print what they reach, as Markdown")
    sub.add_argument(
        "--recipes", action="store_true", help="only copy what recipes have made, from DD_CACHE"
    )
    sub.add_argument("--missing", action="store_true", help="only what the gallery lacks")
    sub.add_argument(
        "--graphs",
        action="store_true",
        help="of condensed graphs: make what is missing and ship all",
    )
    sub = commands.add(
        "reproduce", reproduce, "make published results anew, in as many sittings as it takes"
    )
    sub.add_argument(
        "name", help="a recipe, or list, or table (what was published and what was found)"
    )
    sub.add_argument("--only", default="", metavar="ROW", help="one row of the recipe")
    sub.add_argument("--dry-run", action="store_true", help="print every step's estimate and stop")
    sub.add_argument("--minutes", type=float, metavar="M", help="stop after so long")
    sub.add_argument("--rehearse", action="store_true", help="the same steps on digits in no time")


def gallery(options: argparse.Namespace) -> None:
    """`gallery`: compute the shipped runs and put them where they are shipped from; or their table."""
    from ddcore.recipes.gallery import build, build_recipes, markdown
    from ddcore.sweeps import shipped

    if options.table:
        from ddcore.recipes.graphs import graph_table

        text = graph_table(Store()) if options.graphs else markdown(Store())
        console.output(options, {"table": text}, lambda: print(text))
        return
    if options.graphs:
        from ddcore.recipes.graphs import build_graphs

        keys = build_graphs(follow.watch)
    elif options.recipes:
        keys = build_recipes()
    else:
        keys = build(follow.watch, only=options.only, missing=options.missing)
        shipped.keep()
    console.output(options, keys, lambda: print(f"{len(keys)} folders"))


def reproduce(options: argparse.Namespace) -> int:
    """`reproduce list|table|NAME`: make published results anew, as far as time allows."""
    from ddcore.recipes import recipe, recipes, table

    store = Store()
    if options.name == "list":
        lines = table.lines(store)
        rows = [_recipe_facts(r, lines) for r in recipes().values()]
        console.output(options, rows, lambda: [print(console.line(r)) for r in rows])
        return 0
    if options.name == "table":
        lines = table.lines(store)
        facts = [_line_facts(each) for each in lines]
        console.output(options, facts, lambda: print(table.markdown(lines)))
        return 0
    chosen = recipe(options.name)
    if options.only not in ("", *(row.name for row in chosen.rows)):
        raise SpecError("only", options.only, "one of " + ", ".join(r.name for r in chosen.rows))
    steps = list(chosen.steps(options.only, options.rehearse))
    if not options.dry_run:
        return _made(options, store, steps)
    return _planned(options, store, steps, chosen.machine)


def _planned(options: argparse.Namespace, store: Store, steps: list[Step], machine: str) -> int:
    """What the steps of a recipe will take; of one for a graphics card, on such a card wherever this is."""
    from ddcore.recipes import make
    from ddcore.tasks import queue
    from ddcore.training import speed

    device = speed.kind_here()
    elsewhere = machine == "gpu" and device == "cpu" and not options.rehearse
    if not elsewhere and queue.is_free(store.root, "compute"):
        follow.compute(store, speed.here())  # once: what estimates for large networks rest on
    with speed.supposing("cuda" if elsewhere else device):
        planned = make.plan(store, steps)
    facts = [_step_facts(*each) for each in planned]
    text = [console.line(f) for f in facts] + [make.total(planned, "cuda" if elsewhere else device)]
    if elsewhere:
        guess = f"{speed.GPU_GUESS:.0e} multiply-adds a second"
        text.append(
            f"This machine has no graphics card: the hours are a guess for one with {guess}."
        )
    console.output(options, facts, lambda: print("\n".join(text)))
    return 0


def _made(options: argparse.Namespace, store: Store, steps: list[Step]) -> int:
    """The steps of a recipe, one after the other."""
    from ddcore.recipes import make

    minutes = options.minutes or float("inf")
    outcome = make.work_through(store, steps, follow.follow, minutes=minutes, say=follow.say)
    answer = {"done": outcome.done, "failed": outcome.failed, "left": outcome.left}
    console.output(options, answer, lambda: print(outcome.sentence()))
    return 1 if outcome.failed else 0


def _recipe_facts(recipe: Recipe, found: list[Line]) -> dict[str, Any]:
    own = [each for each in found if each.recipe.name == recipe.name]
    measured = sum(each.ours is not None for each in own)
    return {
        "name": recipe.name,
        "title": recipe.title,
        "machine": recipe.machine,
        "figures": f"{measured} of {len(own)}" if own else "",
    }


def _line_facts(found: Line) -> dict[str, Any]:
    published = found.published
    return {
        "recipe": found.recipe.name,
        "row": found.row.name,
        "protocol": found.protocol,
        "net": found.net,
        "published": published.text() if published else None,
        "source": published.source if published else None,
        "differs": found.row.differs,
        "run": found.run.key if found.run else None,
        "ours": console.figure(found.ours) if found.ours else None,
        "random": console.figure(found.random) if found.random else None,
        "class_mean": console.figure(found.class_mean) if found.class_mean else None,
        "quoted": found.quoted,
        "device": found.device,
        "seconds": found.seconds,
        "command": found.command,
    }


def _step_facts(step: Step, guess: Estimate | None) -> dict[str, Any]:
    return {
        "row": step.row or "analysis",
        "key": step.spec.key,
        "title": step.spec.title(),
        "estimate": guess.sentence() if guess else "done",
        **({"labels": step.labels} if step.labels else {}),
    }
