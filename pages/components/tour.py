"""A tour of seven stops: a sentence beside the thing it is about; the link `?tour=3` opens the third."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pages.components import views


@dataclass(frozen=True)
class TourStop:
    """A place on a page, by the key of what is shown there, and what is to be said of it."""

    page: str  # in the address; "" is Start
    key: str
    text: str


STOPS = (
    TourStop(
        "",
        "start.film",
        "A method has made these images, from noise or from real ones, so that a network which is trained on "
        "them alone does well on real images.",
    ),
    TourStop(
        "Data",
        "data.bar",
        "This is what is compressed: choose a data set, or a folder of your own, and look at its classes.",
    ),
    TourStop(
        "Distil",
        "distil.methods",
        "Each card is a published method with what it made; Start, beside them, makes a set of your own.",
    ),
    TourStop(
        "Images",
        "images.sheet",
        "Every pixel is one square, nothing is smoothed; click an image for its values, its nearest real "
        "images and how it came about.",
    ),
    TourStop(
        "Evaluate",
        "evaluate.dots",
        "A set is worth something only beside random real images and class means, which cost nothing: each "
        "dot is one network.",
    ),
    TourStop(
        "Understand",
        "page.main",
        "Every analysis asks one question of a set, shows one picture, and says how to doubt it.",
    ),
    TourStop(
        "Toy",
        "toy",
        "Press Play: here the whole of it happens in your browser, on points of the plane.",
    ),
)


def address(number: int) -> str:
    """Of a stop, from 1."""
    return f"{STOPS[number - 1].page}?{views.TOUR}={number}"


def stop(named: str) -> dict[str, Any] | None:
    """What the browser is told of the stop that a link names; says so if there is none."""
    known = [str(number) for number in range(1, len(STOPS) + 1)]
    if not views.check(views.TOUR, named, named in known, f"a stop from 1 to {len(STOPS)}"):
        return None
    number = int(named)
    return {
        "number": number,
        "count": len(STOPS),
        "text": STOPS[number - 1].text,
        "class": "st-key-" + STOPS[number - 1].key.replace(".", "-"),
        "back": address(number - 1) if number > 1 else "",
        "next": address(number + 1) if number < len(STOPS) else "",
    }
