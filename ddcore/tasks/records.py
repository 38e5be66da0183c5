"""What the small files of a task folder must look like: one reader for each, which takes nothing else.

Whatever is wrong with a file (not JSON, another shape, not to be read, a folder in its place) is one
`Damaged` with its path; only a file that is not there stays a `FileNotFoundError`.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from ddcore.base.errors import Damaged
from ddcore.base.specs import canonical_json, content_key

RESULT = "result.json"
STATES = ("missing", "queued", "running", "done", "failed", "cancelled", "lost", "damaged")
ACTIVE = ("queued", "running")
CHECK = "check"  # of a status or a manifest: CRC-32 of its other fields
_NUMBERS = ("step", "total", "position", "eta_s", "heartbeat", "started", "queued", "seconds")
_TEXTS = ("host", "device", "message", "launcher", "job")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_json(path: Path) -> Any:
    """JSON from a file; numbers that are none (NaN, Infinity) are refused."""
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse)
    except FileNotFoundError:
        raise
    except (ValueError, RecursionError, OSError) as error:
        raise Damaged(f"{path} cannot be read ({error}).") from error


def document(path: Path) -> dict[str, Any]:
    """spec.json: kind and key are those of the folder, and the key is that of the fields.

    What else it says (the module, for people) is under no key and left out.
    """
    found = read_json(path)
    kind, key = path.parent.parent.name, path.parent.name
    fields = found.get("spec") if isinstance(found, dict) else None
    if not isinstance(fields, dict) or found.get("kind") != kind:
        raise Damaged(f"{path} is not the spec of a task of kind {kind}.")
    made = content_key(kind, found.get("version"), fields)
    if made != key or found.get("key") != key:
        raise Damaged(f"{path} holds the spec of {made}, as {found.get('key')}.")
    return {"kind": kind, "version": found.get("version"), "key": key, "spec": fields}


def status(path: Path) -> dict[str, Any]:
    """status.json, its checksum left out; one without (of older versions) is judged by its shape."""
    found = read_json(path)
    if not isinstance(found, dict) or found.get("state") not in STATES:
        raise Damaged(f"{path} is not a status.")
    check = found.pop(CHECK, None)
    if check is not None and check != crc(found):
        raise Damaged(f"{path} does not match its checksum.")
    numbers = [found[name] for name in _NUMBERS if found.get(name) is not None]
    texts = [found[name] for name in _TEXTS if name in found]
    pid = found.get("pid", 2)
    # A process group 0 or 1 would be this one, or everything.
    if not (
        all(map(_finite, numbers))
        and all(isinstance(text, str) for text in texts)
        and type(pid) is int
        and pid > 1
    ):
        raise Damaged(f"{path} is not a status.")
    return found


def crc(fields: dict[str, Any]) -> int:
    """CRC-32 of the fields of a status or a manifest."""
    return zlib.crc32(canonical_json(fields).encode())


def manifest(path: Path) -> dict[str, dict[str, Any]]:
    """done.json's files by name: {"size": bytes, "sha256": hex}. One of older versions has no checksum."""
    found = read_json(path)
    check = found.pop(CHECK, None) if isinstance(found, dict) else None
    if check is not None and check != crc(found):
        raise Damaged(f"{path} does not match its checksum.")
    files = found.get("files") if isinstance(found, dict) else None
    # Every task has a result; a list without it is none.
    if isinstance(files, dict) and RESULT in files and all(map(_entry, *zip(*files.items()))):
        return files
    raise Damaged(f"{path} is not a list of files with sizes and checksums.")


def _entry(name: str, entry: Any) -> bool:
    inside = not name.startswith("/") and ".." not in PurePosixPath(name).parts
    if not inside or not isinstance(entry, dict):
        return False
    size, digest = entry.get("size"), entry.get("sha256")
    sized = type(size) is int and size >= 0
    return sized and isinstance(digest, str) and _SHA256.fullmatch(digest) is not None


def events(content: bytes) -> list[dict[str, Any]]:
    """The sound lines of events.jsonl: a step, numbers, perhaps a note. The last may be half written."""
    found = []
    for line in content.split(b"\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if (
            isinstance(event, dict)
            and _finite(event.get("step"))
            and all(map(_figure, event.items()))
        ):
            found.append(event)
    return found


def event_line(event: dict[str, Any]) -> bytes:
    """An event as events.jsonl has it."""
    return json.dumps(event).encode() + b"\n"


def _figure(field: tuple[str, Any]) -> bool:
    name, value = field
    return isinstance(value, str if name == "note" else (int, float))


def _finite(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
