"""Text that somebody else wrote: names of files, folders and classes, titles, messages that quote them.

It is shown as it is, wherever it is shown. A name that looks like an image link must not become one, or
every visitor's browser would ask somebody else's server for the picture.
"""

from __future__ import annotations

import html
import re
import textwrap
import unicodedata

# Invisible, and no white space: what has it inside is no address, no shortcode and no arrow any more.
JOINER = "\u2060"
DOLLAR = r"\$"
# What Markdown, HTML, LaTeX, directives and templates are made of; underscores inside words are none of it.
_ACTIVE = re.compile(r"[\\`*{}\[\]<>#|~$&@]|:(?=\S)|(?<!\w)_|_(?!\w)")
_FIRST = re.compile(r"^(?:[-+](?=\s|$)|\d+(?=[.)](?:\s|$)))")  # lists: at the beginning only
# Replaced by Streamlit after the text has been parsed, so that escaping alone does not help: addresses,
# ":shortcode:", ":material/icon:", arrows, dashes and the like.
_LATE = re.compile(r"[:@](?=\S)|(?i:\bwww)(?=\.)|[<>~=-](?=[<>~=-])")
_ORDER = re.compile("[\u202a-\u202e\u2066-\u2069]")  # marks that turn the direction of reading
_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
)  # how a spreadsheet tells that a cell is to be computed


def plain(text: object) -> str:
    """The text as one line for Streamlit's Markdown, for HTML and for the labels of plotly.

    Whatever could be syntax in one of them becomes a numeric entity, which all three show as the
    character it stands for. Selectboxes, tables and alternative texts know no markup: they need none of it.
    """
    line = _ORDER.sub("", _one_line(str(text)))
    line = _LATE.sub(lambda found: found.group() + JOINER, line)
    line = _ACTIVE.sub(_entity, line)
    first = _FIRST.match(line)
    if not first:
        return line
    end = first.end()
    return line[: end - 1] + _entity(line[end - 1]) + line[end:]


def unescaped(text: str) -> str:
    """What a reader sees of a text with `plain` parts, for places that know no markup."""
    return html.unescape(text).replace(JOINER, "")


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters of a `plain` text, each of them `plain`."""
    return [plain(line) for line in textwrap.wrap(unescaped(text), width)]


def unmathematical(text: object) -> str:
    """The text for matplotlib, which takes what stands between two dollars for a formula."""
    return str(text).replace("$", DOLLAR)


def cell(value: object) -> object:
    """A value for a table that a spreadsheet may open: text that would be a formula there is quoted.

    Numbers stay numbers, negative ones too.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _one_line(text: str) -> str:
    shown = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    return re.sub(r"\s+", " ", shown).strip()


def _entity(found: re.Match | str) -> str:
    character = found if isinstance(found, str) else found.group()
    return f"&#{ord(character)};"
