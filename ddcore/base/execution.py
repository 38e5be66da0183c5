"""How the steps of a task are executed: operation after operation (eager), or compiled as a whole.

An engine hands over a pure function of tensors that stands in a module and whatever is fixed in it:

    step = execution.step(gradients, network, "ce", total=...)
    found = step(*weights, images, labels)

and does not know how it is executed. Derivatives are taken inside the function, so that what is compiled
is one plain graph, also where it holds second derivatives. Compiling pays in long runs only: it takes 17
to 77 s of a processor for each combination of sizes (measured, ConvNet-3), some seconds where the machine
has compiled it before. Compiled and eager agree to rounding; either gives the same bits every time.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import shutil
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddcore.base import environment, paths, vectorised
from ddcore.base.errors import Cancelled

if TYPE_CHECKING:
    from torch import Tensor

EAGER, COMPILED = "eager", "compiled"
GRAPHS = "compiled, CUDA graphs"

# Eager seconds that are expected of a function at one combination of sizes, from which on it is compiled:
# several times what compiling takes, since a third of them is saved at most.
COLD_S, WARM_S = 400.0, 60.0
MACS_PER_S = 2e10  # of eager training on one core (measured, ConvNet-3 of width 32)
MOST = 8  # combinations of sizes of one function: data of all sizes is not worth compiling for

CODE = "TORCHINDUCTOR_CACHE_DIR"  # names the place of compiled code
KNOWN = "known"  # folder of empty files, one for each function and sizes

Function = Callable[..., "tuple[Tensor, ...]"]
Identity = tuple[Hashable, ...]

_built: dict[Identity, Function] = {}  # what this process has compiled
_refused: list[str] = []  # why it compiles nothing more


@dataclass
class Ways:
    """How the steps of a task were executed: of each function and sizes, by a name that is the same anywhere.

    A resumed task goes on as it began, so it carries these names along.
    """

    chosen: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0  # of compiling
    cpu_seconds: float = 0.0  # of this process among them: the C++ compiler is another

    def facts(self) -> dict[str, Any]:
        """What a result says of them; nothing where all was eager."""
        if set(self.chosen.values()) <= {EAGER}:
            return {}
        count = {way: list(self.chosen.values()).count(way) for way in (EAGER, COMPILED, GRAPHS)}
        found = {way: n for way, n in count.items() if n}
        took = {"compile_seconds": self.seconds, "compile_cpu_seconds": self.cpu_seconds}
        return {"execution": {"steps": found} | {k: round(v, 3) for k, v in took.items()}}


_ways: ContextVar[Ways | None] = ContextVar("ways", default=None)


@contextlib.contextmanager
def noted(ways: Ways) -> Iterator[None]:
    """Keep in `ways` how the steps of this task are executed."""
    token = _ways.set(ways)
    try:
        yield
    finally:
        _ways.reset(token)


class PureStep:
    """A pure function of tensors, called as often as needed; returns a tuple of tensors without a graph.

    The function has no closure, and what is `fixed` are values: equal ones mean the same computation.
    `total` are the multiply-adds of all calls to come, `of(*tensors)` those with tensors of these sizes,
    where there are several.
    """

    def __init__(
        self, function: Function, fixed: Identity, total: float, of: Callable[..., float] | None
    ) -> None:
        assert function.__closure__ is None, "what a step depends on has to be fixed or a tensor"
        self.function, self.fixed, self.total, self.of = function, fixed, total, of
        self.ready: dict[Identity, Function] = {}
        self.eager = functools.partial(function, *fixed)
        # Nothing is asked of sizes where nothing is to be compiled: small steps take microseconds.
        asked = environment.compiling()
        short = asked == "auto" and total / MACS_PER_S < WARM_S
        self.plain = asked == "0" or short or bool(_refused)

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The function's tensors."""
        return self.prepared(*tensors)(*tensors)

    def compiles(self, *tensors: Tensor) -> bool:
        """Whether a call with such tensors is compiled."""
        return self.prepared(*tensors) is not self.eager

    def prepared(self, *tensors: Tensor) -> Function:
        """What is called with tensors of these sizes."""
        if self.plain:
            return self.eager
        sizes = tuple((tuple(t.shape), t.dtype, t.device.type) for t in tensors)
        if sizes not in self.ready:
            self.ready[sizes] = self._chosen(tensors, sizes)
        return self.ready[sizes]

    def _chosen(self, tensors: tuple[Tensor, ...], sizes: Identity) -> Function:
        ways = _ways.get() or Ways()
        known = _known(self.function, self.fixed, sizes)
        identity = (self.function, self.fixed, sizes)
        way = ways.chosen.get(known.name)
        if way is None:
            macs = self.of(*tensors) if self.of else self.total
            before = identity in _built or known.exists()
            way = _way(macs / MACS_PER_S, tensors[0].device.type, before)
        if way != EAGER and identity not in _built:
            full = len(self.ready) >= MOST
            way = EAGER if full or not self._build(identity, tensors, way, ways) else way
            if way != EAGER:
                _remember(known)
        ways.chosen[known.name] = way
        return self.eager if way == EAGER else _built[identity]

    def _build(self, identity: Identity, tensors: tuple[Tensor, ...], way: str, ways: Ways) -> bool:
        """Compile it; False, with a line in the log, where that is not possible here."""
        if _refused:
            return False
        started, cpu = time.monotonic(), time.process_time()
        try:
            copies = _copies(tensors)  # a function may move running statistics
            found = built(self.eager, copies, graphs=way == GRAPHS)
            found(*copies)  # what cannot be run is found out here
        except Cancelled:
            raise
        except Exception as error:  # a missing compiler, an operation it does not know, a full disk
            name = self.function.__name__.replace("_", " ").strip()
            said = str(error).strip().splitlines() or [""]
            _refused.append(f"{type(error).__name__}: {said[0]}")
            print(f"Not compiled ({name}): {_refused[0]}", file=sys.stderr, flush=True)
            return False
        ways.seconds += time.monotonic() - started
        ways.cpu_seconds += time.process_time() - cpu
        _built[identity] = found
        return True


def step(
    function: Function,
    *fixed: Hashable,
    total: float = 0.0,
    of: Callable[..., float] | None = None,
) -> PureStep:
    """See `PureStep`."""
    return PureStep(function, fixed, total, of)


def leaves(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Tensors that a derivative can be taken by; those that are such already, and integers, as they are."""
    return [
        t if t.requires_grad or not t.is_floating_point() else t.detach().requires_grad_()
        for t in tensors
    ]


# --- which way --------------------------------------------------------------------------------------


def _way(seconds: float, device: str, before: bool) -> str:
    """Of a function that takes `seconds` with tensors of some sizes, compiled `before` or not."""
    asked = environment.compiling()
    if asked == "0" or device not in ("cpu", "cuda"):
        return EAGER
    if asked == "1":
        return GRAPHS if device == "cuda" else COMPILED
    # What compiling gains on a graphics card was not measured yet.
    enough = WARM_S if before else COLD_S
    return COMPILED if device == "cpu" and seconds >= enough and compiler() else EAGER


def compiler() -> str | None:
    """The C++ compiler that would be used on a CPU; None if there is none."""
    return shutil.which(os.environ.get("CXX") or "g++") or shutil.which("clang++")


def folder() -> Path:
    """Where compiled code is kept for the next process."""
    return paths.store_root() / "compiled"


def _known(function: Function, fixed: Identity, sizes: Identity) -> Path:
    """An empty file that stands for what this machine has compiled before."""
    import torch

    version = importlib.metadata.version("torch")
    what = (function.__module__, function.__qualname__, fixed, sizes)
    text = repr((*what, version, torch.get_num_threads()))
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return folder() / KNOWN / f"{function.__name__.strip('_')}-{digest}"


def _remember(known: Path) -> None:
    with contextlib.suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True)
        known.touch()


# --- compiling --------------------------------------------------------------------------------------


def built(function: Function, tensors: tuple[Tensor, ...], *, graphs: bool) -> Function:
    """`function`, for tensors of these sizes, compiled; raises whatever goes wrong."""
    import torch

    run = compiled(traced(function, _copies(tensors)), tensors, graphs=graphs)

    def call(*given: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            found = run(*(t.detach().contiguous() for t in given))
            # The memory of a graph's results is used again by the next call.
            return tuple(t.clone() for t in found) if graphs else tuple(found)

    return call


def compiled(graph: Any, tensors: tuple[Tensor, ...], *, graphs: bool) -> Callable[..., Any]:
    """Machine code of a graph, for tensors of these sizes, kept in `folder`."""
    import torch
    from torch._inductor import config
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    if os.environ.get(CODE) in (None, default_cache_dir()):  # else somebody has chosen a place
        os.environ[CODE] = str(folder())
    settings: dict[str, Any] = {
        "compile_threads": torch.get_num_threads(),  # processes: not more than the task may use
        "triton.cudagraphs": graphs,
    }
    if (folder() / KNOWN).exists():  # the compiler's vector instructions were tried here before
        settings["cpp.vec_isa_ok"] = True
    with torch.no_grad(), config.patch(settings):
        from torch._inductor.compile_fx import compile_fx  # starts processes as it is imported

        return compile_fx(graph, list(tensors))  # type: ignore[return-value]


def _copies(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    import torch

    return tuple(t.detach().clone(memory_format=torch.contiguous_format) for t in tensors)


def traced(function: Function, tensors: tuple[Tensor, ...]) -> Any:
    """All operations of `function` on tensors of these sizes, derivatives included, as one graph.

    A tensor that is no argument would be written into the graph as it is now: that is refused. Tracing
    computes, so what the function changes in place is changed.
    """
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    on_cpu = tensors[0].device.type == "cpu"
    with torch.enable_grad():
        run = make_fx(
            lambda *given: tuple(function(*given)), vectorised.table() if on_cpu else None
        )
        graph = run(*tensors)
    held = [node.target for node in graph.graph.nodes if node.op == "get_attr"]
    if held:
        raise ValueError(f"a step holds tensors that are no arguments: {held}")
    return graph
