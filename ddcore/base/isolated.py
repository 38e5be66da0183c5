"""Files of unknown origin are understood in a process of their own, which may take little and answer little.

    answer = call("module:function", request, folder, Limits(memory=256 << 20, cpu_seconds=5), what="set.pt")

`function(request, folder, progress)` runs in a fresh process. Its request and its answer are plain JSON;
arrays go through files in `folder`. Never a pickle, in neither direction. A file that fills the memory, runs
into the time limit or crashes a library ends in one sentence, and the process that asked is no larger for it.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ddcore.base import paths
from ddcore.base.errors import DataError, SpecError

Progress = Callable[[int, int], None]

MAX_ANSWER = 8 << 20  # bytes of one line: names and figures, never arrays
# A crowded machine gives a process a tenth of a core; beyond that it hangs, as on a dead network drive.
WALL_PER_CPU, WALL_TO_START = 20, 60
LOOK_EVERY = 0.5  # seconds between looks at the clock
_SIGNALLED_TIME = (-24, -9)  # SIGXCPU, and SIGKILL once the hard limit is reached
FILLED, FAILED = 3, 4  # exit codes
NO_MEMORY = ("alloc", "memory", "failed to map", "zero-fill")  # how libraries and the loader say it
_NO_MEMORY = (FILLED, -6, -11)  # SIGABRT and SIGSEGV: how libraries in C end that get none


@dataclass(frozen=True)
class Limits:
    """What reading may take, beyond what the process needs to start.

    `memory`: private bytes. `mapped`: bytes of files seen through memory. `written`: bytes of any file
    it writes. Without `resource` (not on POSIX) only the wall clock limits.
    """

    memory: int
    cpu_seconds: int
    mapped: int = 4 << 30
    written: int = 8 << 30


def for_files(size: int) -> Limits:
    """The limits for files of arrays with `size` bytes together.

    Small files get little, so that they cannot take much, whatever they say; 200 MB of images take 7 s
    of a slow core to check, and are copied once at most.
    """
    megabytes = size >> 20
    return Limits(memory=(160 << 20) + size, cpu_seconds=4 + megabytes // 20)


def call(
    function: str,
    request: dict[str, Any],
    folder: Path,
    limits: Limits,
    what: str,
    progress: Progress | None = None,
    preload: tuple[str, ...] = (),
) -> Any:
    """The answer of "module:function"; `DataError` or `SpecError` if it raised one, or was ended.

    `what` names the file in sentences; `preload` are libraries that are not counted.
    """
    ask = {"function": function, "request": request, "folder": str(folder), "preload": preload}
    process = subprocess.Popen(
        [sys.executable, "-m", "ddcore.base.isolated"],
        cwd=paths.PROJECT,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin and process.stdout  # since both are pipes
    try:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(ask | {"limits": asdict(limits)}).encode())
            process.stdin.close()
        for line in _lines(process, WALL_TO_START + limits.cpu_seconds * WALL_PER_CPU, what):
            if "progress" in line and progress:
                progress(*line["progress"])
            elif "error" in line:
                raise _error(line["error"])
            elif "answer" in line:
                return line["answer"]
        raise DataError(_ended(process.wait(), limits, what))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _environment() -> dict[str, str]:
    # One thread for linear algebra and few memory pools: each reserves much address space.
    # Pools of their own do, too.
    own = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    own["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    path = [str(paths.PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **own, "PYTHONPATH": os.pathsep.join(path)}


def _lines(process: subprocess.Popen, seconds: float, what: str) -> Iterator[dict[str, Any]]:
    """The process's answers as they come; `DataError` when they stay away for too long."""
    found: queue.Queue[bytes] = queue.Queue(maxsize=64)
    threading.Thread(target=_pump, args=(process.stdout, found.put), daemon=True).start()
    end = time.monotonic() + seconds
    while True:
        try:
            line = found.get(timeout=LOOK_EVERY)
        except queue.Empty:
            if time.monotonic() > end:
                raise DataError(f"{what} could not be read within {seconds:.0f} seconds.") from None
            continue
        if not line.endswith(b"\n"):
            return  # the end, or an answer cut off or larger than any honest one
        end = time.monotonic() + seconds
        yield json.loads(line)


def _pump(stream: IO[bytes], put: Callable[[bytes], None]) -> None:
    line = b"\n"
    while line.endswith(b"\n"):
        try:
            line = stream.readline(MAX_ANSWER)
        except ValueError:  # closed meanwhile
            line = b""
        put(line)


def _error(told: dict[str, Any]) -> Exception:
    if told["kind"] == "SpecError":
        return SpecError(*told["parts"])
    return DataError(told["parts"][0])


def _ended(code: int, limits: Limits, what: str) -> str:
    if code in _SIGNALLED_TIME:
        return (
            f"{what} takes more than {limits.cpu_seconds} seconds to read: it is damaged, or made to "
            "keep a reader busy."
        )
    if code in _NO_MEMORY:
        return _too_large(limits, what)
    if code:
        return f"{what} made its reader fail: it is damaged, or of a form that is not known."
    return f"{what} could not be read to its end."


def _too_large(limits: Limits, what: str) -> str:
    return (
        f"{what} takes more than {limits.memory >> 20} MB of memory to read: it is damaged, or made to "
        "fill it."
    )


# --- arrays on their way ---------------------------------------------------------------------------


def write_arrays(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Arrays of plain numbers for `arrays`, one a file."""
    for i, (name, array) in enumerate(arrays.items()):
        np.save(folder / f"{i}.npy", array, allow_pickle=False)
        (folder / f"{i}.name").write_text(name)


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """What `write_arrays` left, read-only and seen through memory: the files may be removed."""
    found = {}
    for place in sorted(folder.glob("*.name"), key=lambda p: int(p.stem)):
        array = np.load(place.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
        found[place.read_text()] = array
    return found


# --- the process itself ---------------------------------------------------------------------------


def main() -> None:
    """Read a request, limit this process, answer line by line."""
    ask = json.loads(sys.stdin.buffer.read())
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer

    def say(**line: Any) -> None:
        answers.write(json.dumps(line).encode() + b"\n")
        answers.flush()

    limits = Limits(**ask["limits"])
    try:
        name, _, function = ask["function"].partition(":")
        run = getattr(importlib.import_module(name), function)
        for library in ask["preload"]:
            importlib.import_module(library)
        _limit(limits)
        answer = run(ask["request"], Path(ask["folder"]), lambda *step: say(progress=step))
        say(answer=answer)
    except SpecError as error:
        say(error={"kind": "SpecError", "parts": [error.field, error.value, error.allowed]})
    except DataError as error:
        say(error={"kind": "DataError", "parts": [str(error)]})
    except MemoryError:
        os._exit(FILLED)  # told in the words of `_ended`, which need no memory here
    except Exception as error:
        os._exit(FILLED if _of_too_much(error) else FAILED)
    os._exit(0)  # libraries may need more memory to close than they are allowed


def _of_too_much(error: Exception) -> bool:
    """Whether a library ran into a limit: of what it may write, or of memory (in words of its own)."""
    written = isinstance(error, OSError) and error.errno in (errno.EFBIG, errno.ENOSPC)
    return written or any(word in str(error).lower() for word in NO_MEMORY)


def _limit(limits: Limits) -> None:
    """Lower what the system grants this process, counted from what it has now."""
    try:
        import resource
    except ImportError:  # not on POSIX
        return
    now = dict.fromkeys(("VmSize", "VmData"), 0)
    with contextlib.suppress(OSError):  # only Linux tells; elsewhere the start is not counted
        for line in Path("/proc/self/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in now:
                now[name] = int(value.split()[0]) << 10
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + limits.cpu_seconds
    wanted = {
        "RLIMIT_AS": now["VmSize"] + limits.memory + limits.mapped,
        "RLIMIT_DATA": now["VmData"] + limits.memory,
        "RLIMIT_FSIZE": limits.written,
        "RLIMIT_CPU": seconds,
        "RLIMIT_CORE": 0,
    }
    for name, least in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        most = least if hard == resource.RLIM_INFINITY else min(least, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS knows some limits by name only
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main()
