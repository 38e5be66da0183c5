"""A pickle followed opcode by opcode, without building what its opcodes ask for.

A pickle is a program. Lists, dicts, numbers and texts are made, tensors are noted as views of their storages,
any other object is refused by its name. What a program may push is bounded by its own length.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddcore.base.errors import DataError

MAX_STEPS = 400_000  # opcodes followed, about half a second; 2,000 steps need 80,000
MAX_DIMENSIONS = 8
MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of the old layout

_STORAGES = {
    "Double": "<f8",
    "Float": "<f4",
    "Half": "<f2",
    "BFloat16": "bfloat16",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "|i1",
    "Byte": "|u1",
    "Bool": "|b1",
}
_PASSED_OVER = {
    "numpy.core.multiarray scalar",  # an accuracy beside the images
    "numpy._core.multiarray scalar",
    "numpy dtype",
    "_codecs encode",
    "torch device",
    *(f"torch {name}" for name in ("float16", "float32", "float64", "bfloat16", "int64", "uint8")),
}
_NOT_PLAIN = {
    *(f"torch._utils _rebuild_{kind}" for kind in ("sparse_tensor", "sparse_csr_tensor", "qtensor")),
    *(f"torch._utils _rebuild_{kind}" for kind in ("nested_tensor", "tensor_v3", "wrapper_subclass")),
    "torch._utils _rebuild_meta_tensor_no_storage",
    "torch.storage UntypedStorage",
    *(f"torch {kind}Storage" for kind in ("ComplexFloat", "ComplexDouble", "QInt8", "QInt32")),
    *(f"torch {kind}Storage" for kind in ("QUInt8", "Untyped")),
}  # fmt: skip


class _Unread:
    """Stands for something that is no part of a set and is never built."""


@dataclass(frozen=True, eq=False)
class _Named:
    """A class or function that the program names."""

    name: str


@dataclass(frozen=True)
class Storage:
    """A run of `count` numbers, by its key in the file."""

    key: str
    dtype: str
    count: int

    @property
    def bytes(self) -> int:
        """Its size in the file."""
        return self.count * item(self.dtype).itemsize


@dataclass(frozen=True)
class StorageView:
    """A view of a storage, not made yet. Offset and stride count numbers."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Mark:
    """Where the arguments of a later opcode begin."""


class Program:
    """One pickle, followed opcode by opcode. What it may push is bounded by its own length."""

    def __init__(self, stream: io.BytesIO, name: str) -> None:
        self.stream, self.name = stream, name
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def run(self) -> Any:
        """What it leaves; `DataError` if it does anything but put plain values together."""
        try:
            for step, (opcode, argument, _) in enumerate(pickletools.genops(self.stream)):
                if step > MAX_STEPS:
                    raise DataError(f"{self.name} is not a set: it is made of too many parts.")
                if opcode.name == "STOP":
                    return self.stack.pop()
                self._do(opcode.name, argument)
        except (ValueError, IndexError, KeyError, AttributeError, TypeError) as error:
            why = (str(error).splitlines() or [type(error).__name__])[0][:80]
            raise DataError(f"{self.name} is damaged ({why}).") from error
        raise DataError(f"{self.name} is cut off.")

    def _do(self, opcode: str, argument: Any) -> None:
        if opcode in _VALUES:
            self.stack.append(_VALUES[opcode](argument))
        elif opcode in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif opcode == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif opcode in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self)
        elif opcode in ("GLOBAL", "STACK_GLOBAL"):
            self._name(argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise self._refused(opcode)

    def _marked(self) -> list[Any]:
        """Everything pushed since the last mark, which is taken off."""
        place = len(self.stack) - 1
        while not isinstance(self.stack[place], _Mark):
            if place <= 0:
                raise ValueError("an opcode without its arguments")
            place -= 1
        found = self.stack[place + 1 :]
        del self.stack[place:]
        return found

    def _name(self, argument: str | None) -> None:
        if argument is None:
            last, first = self.stack.pop(), self.stack.pop()
            argument = f"{first} {last}" if isinstance(first, str) and isinstance(last, str) else ""
        if argument in _NOT_PLAIN:
            raise DataError(f"{self.name} holds a tensor that is not of plain numbers.")
        storage = argument.removeprefix("torch ").removesuffix("Storage")
        known = argument in _CALLS or argument in _PASSED_OVER
        if not known and argument != f"torch {storage}Storage":
            raise self._refused(argument)
        if not known and storage not in _STORAGES:
            raise self._refused(argument)
        self.stack.append(_Named(argument))

    def _refused(self, which: str) -> DataError:
        return DataError(
            f"{self.name} holds pickled objects other than tensors ({which[:60]!r}), which are never loaded "
            "since that could run code: save it anew with torch.save({'images': images, 'labels': "
            "labels}, ...)."
        )

    def _append(self) -> None:
        value = self.stack.pop()
        self._list().append(value)

    def _appends(self) -> None:
        values = self._marked()
        self._list().extend(values)

    def _list(self) -> list[Any]:
        if type(self.stack[-1]) is not list:
            raise ValueError("something added to what is no list")
        return self.stack[-1]

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._put([key, value])

    def _setitems(self) -> None:
        self._put(self._marked())

    def _put(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(pairs) % 2:
            raise ValueError("something put into what is no dict")
        for key, value in zip(pairs[::2], pairs[1::2]):
            target[_key(key)] = value

    def _reduce(self) -> None:
        arguments, named = self.stack.pop(), self.stack.pop()
        if not isinstance(named, _Named) or type(arguments) is not tuple:
            raise ValueError("a call of what is no function")
        if named.name in _PASSED_OVER:
            self.stack.append(_Unread())
        elif named.name in _CALLS:
            self.stack.append(_CALLS[named.name](*arguments))
        else:
            raise self._refused(named.name)

    def _build(self) -> None:
        self.stack.pop()  # the state of an OrderedDict or of a number of numpy's: no part of a set
        if not isinstance(self.stack[-1], _Unread | dict):
            raise ValueError("a state of what has none")

    def _persistent(self) -> None:
        told = self.stack.pop()
        if type(told) is not tuple or len(told) not in (5, 6) or told[0] != "storage":
            raise ValueError("a reference to something that is no storage")
        _, named, key, _, count = told[:5]
        if not (isinstance(named, _Named) and type(key) is str and _is_count(count)):
            raise ValueError("a storage without its type, name or size")
        if len(told) == 6 and told[5] is not None:
            raise DataError(
                f"{self.name} holds storages inside others, as torch 0.3 wrote them: load it there and "
                "save it anew."
            )
        kind = named.name.removeprefix("torch ").removesuffix("Storage")
        storage = Storage(key, _STORAGES[kind], count)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError("a storage of two sizes")
        self.stack.append(storage)


def _key(value: Any) -> str | int | float | None:
    # The hash of a tuple of tuples of ... takes for ever; no set has such keys.
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise ValueError("a key that is no text or number")


def _whole(value: int) -> int:
    if not -(2**63) <= value < 2**64:
        raise ValueError("a number beyond 64 bits")
    return value


def _magic(value: int) -> int:
    return value if value == MAGIC else _whole(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48


_VALUES: dict[str, Callable[[Any], Any]] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "MARK": lambda _: _Mark(),
    "EMPTY_LIST": lambda _: [],
    "EMPTY_DICT": lambda _: {},
    "EMPTY_TUPLE": lambda _: (),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG4"), _whole),
    "LONG1": _magic,
    **dict.fromkeys(("BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), lambda v: v),
    **dict.fromkeys(("BINSTRING", "SHORT_BINSTRING"), lambda v: v),  # of Python 2
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES"), lambda _: _Unread()),
}


def _tuple(program: Program, count: int) -> None:
    values = program.stack[-count:]
    if len(values) < count:
        raise ValueError("an opcode without its arguments")
    del program.stack[-count:]
    program.stack.append(tuple(values))


_ACTIONS: dict[str, Callable[[Program], Any]] = {
    "POP": lambda p: p.stack.pop(),
    "POP_MARK": lambda p: p._marked(),
    "TUPLE": lambda p: p.stack.append(tuple(p._marked())),
    "TUPLE1": lambda p: _tuple(p, 1),
    "TUPLE2": lambda p: _tuple(p, 2),
    "TUPLE3": lambda p: _tuple(p, 3),
    "LIST": lambda p: p.stack.append(p._marked()),
    "APPEND": Program._append,
    "APPENDS": Program._appends,
    "SETITEM": Program._setitem,
    "SETITEMS": Program._setitems,
    "REDUCE": Program._reduce,
    "BUILD": Program._build,
    "BINPERSID": Program._persistent,
}


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> StorageView:
    """A tensor as its file describes it, checked against its storage's size."""
    plain = all(type(t) is tuple and all(map(_is_count, t)) for t in (size, stride))
    if not (isinstance(storage, Storage) and _is_count(offset) and plain):
        raise ValueError("a tensor of sizes that are none")
    if len(size) != len(stride) or len(size) > MAX_DIMENSIONS:
        raise ValueError("a tensor whose sizes and strides do not go together")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    if math.prod(size) and last >= storage.count:
        raise ValueError("a tensor that reaches beyond its storage")
    return StorageView(storage, offset, size, stride)


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    if not all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs):
        raise ValueError("a dict of what are no pairs")
    return {_key(key): value for key, value in pairs}


_CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": lambda data, *_: data,
    "collections OrderedDict": _ordered,
    "torch Size": lambda sizes=(): sizes,
}


def item(dtype: str) -> np.dtype:
    """One number as it is stored; numpy has no bfloat16, which is kept as its bytes."""
    return np.dtype("<u2" if dtype == "bfloat16" else dtype)
