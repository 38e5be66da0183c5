"""Ways to damage a file: bits, lengths, odd JSON, and things in its place that are no file."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

ODD = (None, [], {}, -1, 0, 1e308, float("nan"), "x", "", True, [[[]]], {"x": {}}, 10**30, "../..")
TEXTS = (b"", b"null", b"[]", b"3", b'"x"', b"{}", b"{", b"[" * 5000, b"\xff\xfe\x00", b"\x00" * 64)


def injure(path: Path, chance: random.Random) -> str:
    """Damage the file at `path`, which need not be there; says how. Keeps its time in half of the cases."""
    times = path.stat() if path.is_file() else None
    how = chance.choice(list(WAYS if times else ABSENT))
    said = WAYS[how](path, chance)
    if times and path.is_file() and chance.random() < 0.5:  # bits rot without a new time
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return f"{how}{said}"


def _flip(path: Path, chance: random.Random) -> str:
    content = bytearray(path.read_bytes())
    if not content:
        return _garbage(path, chance)
    place, bit = chance.randrange(len(content)), chance.randrange(8)
    content[place] ^= 1 << bit
    path.write_bytes(content)
    return f" {bit} of byte {place}"


def _truncate(path: Path, chance: random.Random) -> str:
    content = path.read_bytes()
    length = chance.randrange(len(content)) if content else 0
    path.write_bytes(content[:length])
    return f" at {length} of {len(content)}"


def _empty(path: Path, _: random.Random) -> str:
    path.write_bytes(b"")
    return ""


def _garbage(path: Path, chance: random.Random) -> str:
    length = chance.choice((1, 8, 100, 5000))
    path.write_bytes(chance.randbytes(length))
    return f", {length} bytes"


def _text(path: Path, chance: random.Random) -> str:
    content = chance.choice(TEXTS)
    path.write_bytes(content)
    return f" {content[:12]!r}"


def _tail(path: Path, chance: random.Random) -> str:
    content = chance.choice((b"\x00" * 512, b"{}", b"\n", b'\n{"step": "x"}\n', b"\n[]\n"))
    path.write_bytes(path.read_bytes() + content)
    return f" {content[:12]!r}"


def _odd(path: Path, chance: random.Random) -> str:
    """A value somewhere in a JSON document (of lines of JSON: in one) is of another kind."""
    lines = path.read_bytes().split(b"\n") if path.suffix == ".jsonl" else [path.read_bytes()]
    chosen = chance.randrange(len(lines))
    try:
        document = json.loads(lines[chosen])
    except ValueError:
        return _text(path, chance)
    where, value = _replace(document, chance)
    lines[chosen] = json.dumps(document if where else value).encode()
    path.write_bytes(b"\n".join(lines))
    return f" {'.'.join(map(str, where)) or 'whole'} = {json.dumps(value)}"


def _replace(document: Any, chance: random.Random) -> tuple[list[Any], Any]:
    """Replace or remove a value in place; where, and by what (an empty place: the whole)."""
    value, where, inside = chance.choice(ODD), [], document
    while isinstance(inside, (dict, list)) and inside:
        place = chance.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
        where.append(place)
        deeper = inside[place]
        if not isinstance(deeper, (dict, list)) or not deeper or chance.random() < 0.3:
            if chance.random() < 0.3:
                del inside[place]
                return where, "(removed)"
            inside[place] = value
            return where, value
        inside = deeper
    return [], value


def _folder(path: Path, chance: random.Random) -> str:
    _remove(path, chance)
    path.mkdir(parents=True)
    if chance.random() < 0.5:
        (path / "x").write_text("x")
    return ""


def _link(path: Path, chance: random.Random) -> str:
    _remove(path, chance)
    target = chance.choice(("nowhere", path.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return f" to {target}"


def _remove(path: Path, _: random.Random) -> str:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return ""


WAYS = {
    "bit": _flip,
    "cut": _truncate,
    "empty": _empty,
    "garbage": _garbage,
    "text": _text,
    "tail": _tail,
    "odd": _odd,
    "folder": _folder,
    "link": _link,
    "removed": _remove,
}
ABSENT = ("empty", "garbage", "text", "folder", "link")
