"""Files that somebody made to break a reader: bombs, wrong contents, damage; and what reading them costs.

    for case in cases(3000, seed=0):     # the same count and seed give the same cases
        answer, cost = watched(lambda: read(case.files))

`bombs` promise far more than they hold, `wrong` are whole files with nonsense in them, `damaged` are good
files of every layout with cuts, flipped bits, moved parts. `folders` writes the same for own data: pictures
and parquet files. Making them needs torch and pyarrow; watching needs neither.
"""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

K = 10
SHAPE = (1, 8, 8)
BLOCK = 32 << 20
PNG_START = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Case:
    """Files given together as (name, content); `kind` is bomb, wrong or damaged."""

    name: str
    kind: str
    files: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Cost:
    """What a call took: seconds, of them this process's own on a CPU, and growth of its memory in MB."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def cases(count: int, seed: int = 0) -> Iterator[Case]:
    """All bombs and wrong files, then damaged ones until there are `count`."""
    first = [*bombs(), *wrong()]
    yield from first[:count]
    yield from damaged(count - len(first), seed)


def watched(call: Callable[[], Any]) -> tuple[Any, Cost]:
    """What `call` returned or raised, and its cost. Memory is looked at every few milliseconds."""
    before, peak, stop = resident(), [0.0], threading.Event()

    def look() -> None:
        while not stop.wait(0.003):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    seconds, cpu = time.monotonic(), time.process_time()
    try:
        answer = call()
    except Exception as error:
        answer = error
    cost = (time.monotonic() - seconds, time.process_time() - cpu)
    peak[0] = max(peak[0], resident())
    stop.set()
    watcher.join()
    return answer, Cost(*cost, max(0.0, peak[0] - before))


def resident() -> float:
    """Memory of this process now, in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


# --- good files -----------------------------------------------------------------------------------


def images(ipc: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Normalised-looking float32 images, class-sorted, and int64 labels."""
    pictures = np.random.default_rng(seed).normal(size=(K * ipc, *SHAPE)).astype(np.float32)
    return pictures, np.arange(K).repeat(ipc)


@functools.cache
def good() -> dict[str, tuple[tuple[str, bytes], ...]]:
    """A small good upload of every layout, by name."""
    import torch
    from safetensors.numpy import save

    x, y = images(2)
    tensors = torch.from_numpy(x), torch.from_numpy(y)
    dc = {"data": [list(tensors)], "accs_all_exps": {"ConvNet": [np.float64(0.5)]}}
    steps = [(*tensors, torch.tensor([0.02])) for _ in range(3)]
    mtt = [("images_best.pt", pt(tensors[0])), ("labels_best.pt", pt(tensors[1]))]
    return {
        "dc": (("res_DC_X_ConvNet_2ipc.pt", pt(dc)),),
        "dc legacy": (("res_DC_X_ConvNet_2ipc.pt", pt(dc, legacy=True)),),
        "dd2018": (("results.pth", pt(steps, legacy=True)),),
        "idc": (("data.pt", pt(list(tensors))),),
        "mtt": (*mtt, ("lr_best.pt", pt(torch.tensor(0.03)))),
        "npz": (("mine.npz", npz(images=x, labels=y)),),
        "npz compressed": (("mine.npz", npz(np.savez_compressed, images=x, labels=y)),),
        "safetensors": (("mine.safetensors", save({"images": x, "labels": y})),),
        **{f"own {format}": ((f"own.{format}", own(format)),) for format in ("npz", "pt", "hf")},
    }


def own(format: str) -> bytes:
    """A set of ours, exported."""
    from ddcore.data.preprocess import Preprocess
    from ddcore.nets import NetSpec
    from ddcore.sets.distilled import DistilledSet
    from ddcore.sets.exports import export_bytes
    from ddcore.training.protocols import PROTOCOLS

    x, y = images(2)
    one = np.ones(1, np.float32)
    made = DistilledSet(
        images=x,
        labels=y,
        class_names=tuple("0123456789"),
        preprocess=Preprocess(one / 2, one),
        net=NetSpec(width=4, depth=2),
        protocol=PROTOCOLS["quick"],
        method="dm",
        run_key="",
        data={"name": "digits"},
    )
    return export_bytes(made, format)[0]


def pt(value: Any, legacy: bool = False) -> bytes:
    """What torch.save writes; `legacy` as before torch 1.6."""
    import torch

    out = io.BytesIO()
    torch.save(value, out, _use_new_zipfile_serialization=not legacy)
    return out.getvalue()


def npz(write: Callable[..., None] = np.savez, **arrays: np.ndarray) -> bytes:
    """An .npz of named arrays."""
    out = io.BytesIO()
    write(out, **arrays)
    return out.getvalue()


# --- parts of files -------------------------------------------------------------------------------


def raw_zip(entries: list[tuple[str, bytes, int, int]]) -> bytes:
    """A zip of (name, stored bytes, method, declared size): sizes may lie, checksums are of zeros."""
    body, directory = io.BytesIO(), io.BytesIO()
    for name, content, method, size in entries:
        crc = zeros_crc(size) if method else zlib.crc32(content)
        # Version needed, flags, method, time, date, checksum, sizes, lengths of name and extra field.
        facts = struct.pack("<5H3L2H", 20, 0, method, 0, 33, crc, len(content), size, len(name), 0)
        rest = struct.pack("<3H2L", 0, 0, 0, 0, body.tell())
        directory.write(b"PK\x01\x02\x14\x03" + facts + rest + name.encode())
        body.write(b"PK\x03\x04" + facts + name.encode() + content)
    end = (0, 0, len(entries), len(entries), directory.tell(), body.tell(), 0)
    return body.getvalue() + directory.getvalue() + b"PK\x05\x06" + struct.pack("<4H2LH", *end)


@functools.cache
def zeros_crc(size: int) -> int:
    """CRC-32 of that many zero bytes."""
    crc, block = 0, bytes(BLOCK)
    for start in range(0, size, BLOCK):
        crc = zlib.crc32(block[: size - start], crc)
    return crc


@functools.cache
def deflated(head: bytes, size: int) -> bytes:
    """`head` and zeros up to `size` bytes, deflated to a thousandth: one block is packed and repeated."""
    start = zlib.compressobj(9, wbits=-15)
    first = start.compress(head) + start.flush(zlib.Z_FULL_FLUSH)
    block = zlib.compressobj(9, wbits=-15)
    middle = block.compress(bytes(BLOCK)) + block.flush(zlib.Z_FULL_FLUSH)
    whole, rest = divmod(size - len(head), BLOCK)
    end = zlib.compressobj(9, wbits=-15)
    last = end.compress(bytes(rest)) + end.flush(zlib.Z_FINISH)
    return first + middle * whole + last


def npy_header(shape: str, dtype: str = "<f4") -> bytes:
    """The first bytes of an .npy whose shape and type are these texts."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def torch_zip(program: bytes, **entries: bytes) -> bytes:
    """A file of torch's whose pickle is `program`; `entries` are its storages."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + program + b".")
        archive.writestr("archive/byteorder", "little")
        for name, content in entries.items():
            archive.writestr(f"archive/data/{name.removeprefix('s')}", content)
        archive.writestr("archive/version", "3\n")
    return out.getvalue()


def torch_legacy(program: bytes, after: bytes | None = None) -> bytes:
    """The same as written before torch 1.6."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    head = [0x1950A86A20F9469CFC6C, 1001, system]
    keys = pickle.dumps([], 2) if after is None else after
    return b"".join(pickle.dumps(p, 2) for p in head) + b"\x80\x02" + program + b"." + keys


def tensor(size: str, stride: str, numel: int = 4, offset: int = 0, key: str = "0") -> bytes:
    """Opcodes that rebuild a float tensor; `size` and `stride` are numbers separated by spaces."""

    def number(n: int) -> bytes:
        if -(2**31) <= n < 2**31:
            return b"J" + struct.pack("<i", n)
        raw = n.to_bytes(12, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw

    def numbers(text: str) -> bytes:
        return b"(" + b"".join(number(int(n)) for n in text.split()) + b"t"

    def text(words: str) -> bytes:
        return b"X" + struct.pack("<I", len(words)) + words.encode()

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu")
    storage += number(numel) + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    rebuilt = b"(" + storage + number(offset) + numbers(size) + numbers(stride) + b"\x89" + hooks
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + rebuilt + b"tR"


def named(images_: bytes) -> bytes:
    """Opcodes of a dict with these opcodes' value as images, and labels as well."""
    return b"}(X\x06\x00\x00\x00images" + images_ + b"X\x06\x00\x00\x00labels" + images_ + b"u"


def doubled(levels: int, pair: bytes = b"\x86", empty: bytes = b")") -> bytes:
    """Opcodes of a pair of a pair of ... twice the same each: 2 ** levels leaves in 5 bytes a level."""
    program = empty
    for level in range(levels):
        put = struct.pack("<I", level)
        program += (
            b"r"
            + put
            + (b"j" + put + pair if pair == b"\x86" else b"0](" + 2 * (b"j" + put) + b"e")
        )
    return program


# --- bombs ----------------------------------------------------------------------------------------


def bombs() -> list[Case]:
    """Small files that promise, or unpack to, gigabytes, or that take hours to understand."""
    found = {**_pickle_bombs(), **_tensor_bombs(), **_zip_bombs(), **_header_bombs()}
    return [Case(name, "bomb", ((file, content),)) for name, (file, content) in found.items()]


def _pickle_bombs() -> dict[str, tuple[str, bytes]]:
    two_gb = b"c__builtin__\nbytearray\n\x8a\x05" + (2 * 10**9).to_bytes(5, "little") + b"\x85R"
    newer = two_gb.replace(b"__builtin__", b"builtins")
    key = b"}" + doubled(60) + b"Ns"
    programs = {
        "bytearray of 2 GB": two_gb,
        "bytearray of 2 GB, other name": newer,
        "key of nested tuples": key,
        "lists twice in lists": doubled(40, b""),
        "tuples twice in tuples": doubled(40),
        "lists 5,000 deep": b"]" * 5000 + b"a" * 4999,
        "text of 4 GB": b"X\xff\xff\xff\xff",
        "bytes of 2 ** 60": b"\x8e" + (2**60).to_bytes(8, "little"),
        "number of a million digits": b"L" + b"9" * 10**6 + b"L\n",
        "number of a megabyte": b"\x8b" + struct.pack("<i", 10**6) + b"\x7f" * 10**6,
        "two million steps": b"N0" * 10**6 + b"N",
        "a place in memory far off": b"Nr\xff\xff\xff\xff",
        "list that holds itself": b"]q\x00h\x00a",
        "ten thousand empty dicts": b"](" + b"}" * 10**4 + b"e",
        "bytes by codec": b"c_codecs\nencode\nX\x04\x00\x00\x00aaaaX\x06\x00\x00\x00utf-16\x86R",
        "range as list": b"c__builtin__\nlist\nc__builtin__\nxrange\n\x8a\x05\x00\x00\x00\x00\x02\x85R\x85R",
    }
    found = {}
    for name, program in programs.items():
        found[name] = ("set.pt", torch_zip(program))
        found[f"{name}, legacy"] = ("set.pth", torch_legacy(program))
    return found


def _tensor_bombs() -> dict[str, tuple[str, bytes]]:
    four = struct.pack("<4f", 1, 2, 3, 4)
    made = {
        "tensor expanded to 8 GB": tensor("10000 3 256 256", "0 0 0 0"),
        "tensor beyond its storage": tensor("10 1 8 8", "64 64 8 1"),
        "tensor of negative size": tensor("-10 1 8 8", "64 64 8 1"),
        "tensor of negative stride": tensor("2 2", "-2 1", offset=2),
        "tensor of negative offset": tensor("2 2", "2 1", offset=-1),
        "tensor of 2 ** 80": tensor(f"{2**80} 1", "0 0"),
        "sizes and strides of two lengths": tensor("2 2", "1"),
        "storage larger than its file": tensor("10 1 8 8", "64 64 8 1", numel=10**9),
        "storage of a negative size": tensor("2", "1", numel=-4),
        "storage of no file": tensor("2", "1", key="../../etc/passwd"),
        "tensor of 200 dimensions": tensor("1 " * 200, "0 " * 200),
    }
    found = {n: ("set.pt", torch_zip(named(p), s0=four)) for n, p in made.items()}
    many = b"](" + tensor("1000 1000", "0 0") * 300 + b"e"
    return found | {"300 tensors of a million": ("set.pt", torch_zip(many, s0=four))}


def _zip_bombs() -> dict[str, tuple[str, bytes]]:
    size = 3 << 29  # 1.5 GB
    array = npy_header("(384, 1, 1024, 1024)")
    packed = deflated(array, size)
    byte = npy_header("(1536, 1, 1024, 1024)", "|u1")
    less, half = npy_header("(390, 1, 1024, 1024)", "|u1"), 390 << 20
    safe = json.dumps({"images": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
    header = struct.pack("<Q", len(safe)) + safe.encode()
    storage = torch_zip(named(tensor("10 1 8 8", "64 64 8 1", numel=size // 4)))
    with zipfile.ZipFile(io.BytesIO(storage)) as archive:
        parts = [(e.filename, archive.read(e), 0, e.file_size) for e in archive.infolist()]
    arrays = {
        "npz of 1.5 GB": [("images.npy", packed, 8, size)],
        "npz of 1.5 GB that says 2 KB": [("images.npy", packed, 8, 2048)],
        "npz of 1.5 GB of bytes": [("images.npy", deflated(byte, size), 8, size)],
        "npz of 390 MB": [("images.npy", deflated(less, half), 8, half)],
        "npz that says 2 ** 32 - 2": [("images.npy", packed, 0, 2**32 - 2)],
        "three arrays of 1.5 GB": [(f"{i}.npy", packed, 8, size) for i in range(3)],
        "60,000 entries": [(f"{i}.npy", b"", 0, 0) for i in range(60_000)],
    }
    others = {
        "storage of 1.5 GB": [*parts, ("archive/data/0", deflated(b"", size), 8, size)],
        "pickle of 1.5 GB": [("archive/data.pkl", deflated(b"\x80\x02", size), 8, size)],
        "export of 1.5 GB": [("x/distilled.safetensors", deflated(header, size), 8, size)],
        "zip in a zip": [("a.npz", inner := raw_zip(arrays["npz of 1.5 GB"]), 0, len(inner))],
    }
    found = {name: ("set.npz", raw_zip(entries)) for name, entries in arrays.items()}
    return found | {name: ("set.pt", raw_zip(entries)) for name, entries in others.items()}


def _header_bombs() -> dict[str, tuple[str, bytes]]:
    def safe(header: bytes, length: int | None = None) -> tuple[str, bytes]:
        return "set.safetensors", struct.pack("<Q", length or len(header)) + header

    def npy(shape: str, dtype: str = "<f4", rest: int = 64) -> tuple[str, bytes]:
        return "set.npz", raw_zip(
            [("images.npy", h := npy_header(shape, dtype) + bytes(rest), 0, len(h))]
        )

    far = {"images": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    much = {"__metadata__": {"meta": "[" * 100_000}}
    facts = {"__metadata__": {"meta": json.dumps({"format": "distilled-set", "x": [[]] * 500_000})}}
    return {
        "header of 2 ** 63": safe(b"{}", 2**63 - 1),
        "header of nested lists": safe(b'{"a":' + b"[" * 200_000),
        "header of nested dicts": safe(b'{"a":' * 100_000),
        "facts of nested lists": safe(json.dumps(much).encode()),
        "facts of a million lists": safe(json.dumps(facts).encode()),
        "safetensors of 4 TB": safe(json.dumps(far).encode()),
        "array of 4 TB": npy("(1099511627776,)"),
        "array of 2 ** 90": npy(f"({2**90},)"),
        "array of negative size": npy("(-10, 1, 8, 8)"),
        "array of negative sizes": npy("(-10, -1, 8, 8)"),
        "array of items of 2 GB": npy("(1,)", "|V2000000000"),
        "array of objects": npy("(10, 1, 8, 8)", "|O"),
        "array of no items": npy("(1000000000, 0)"),
        "array of 100 dimensions": npy("(" + "1, " * 100 + ")"),
        "array with a shape of text": npy("'many'"),
        "array with nested brackets": npy("(" * 900 + ")" * 900),
        "array of a type of a million": npy("(1,)", "(1000000,)f8"),
    }  # fmt: skip


# --- wrong contents -------------------------------------------------------------------------------


def wrong() -> list[Case]:
    """Whole files whose values, types or shapes make no set."""
    x, y = images(2)
    eye = np.eye(K, dtype=np.float32)[y]
    arrays = {
        "nan": (np.where(x > 1, np.nan, x), y),
        "infinite": (np.where(x > 1, np.inf, x), y),
        "too large": (x.astype(np.float64) * 1e300, y),
        "complex": (x.astype(np.complex64), y),
        "dates": (x.astype(np.int64).astype("M8[s]"), y),
        "texts": (np.full(x.shape, "a" * 50), y),
        "records": (np.zeros(x.shape, "f4,i8"), y),
        "booleans": (x > 0, y),
        "unsigned of 64 bits": (np.full(x.shape, 2**64 - 1, np.uint64), y),
        "half precision": (np.clip(x * 3e4, -6e4, 6e4).astype(np.float16), y),
        "other byte order": (x.astype(">f4"), y.astype(">i8")),
        "no images": (x[:0], y[:0]),
        "no pixels": (x[:, :, :0], y),
        "one number": (np.float32(1), np.int64(1)),
        "a long line": (x.reshape(-1), y),
        "six dimensions": (x[None, None], y),
        "a thousand classes": (x, np.arange(len(x)) * 50),
        "labels below 0": (x, y - 5),
        "labels of 2 ** 62": (x, y + 2**62),
        "labels of 2 ** 64 - 1": (x, np.full(len(x), 2**64 - 1, np.uint64)),
        "labels that are nan": (x, eye * np.nan),
        "labels that are infinite": (x, np.full(len(x), np.inf)),
        "labels of 1e300": (x, np.full(len(x), 1e300)),
        "labels of one class": (x, eye[:, :1]),
        "labels of many classes": (x, np.zeros((len(x), 10**5), np.uint8)),
        "labels of three dimensions": (x, eye[None]),
        "labels are texts": (x, np.array(list("abcdefghij") * 2)),
        "fewer labels": (x, y[:-1]),
        "more labels": (x, np.r_[y, y]),
    }
    found = {}
    for name, (one, two) in arrays.items():
        found[name] = ("set.npz", npz(images=one, labels=two))
    texts = {
        "words": b"These are words and no set.",
        "a web page": b"<!doctype html><script>alert(1)</script>",
        "a program": b"\x7fELF" + bytes(500),
        "nothing": b"",
        "one byte": b"P",
        "a pickle": pickle.dumps({"images": [1.0]}, 5),
        "a picture": PNG_START + bytes(100),
        "zeros": bytes(100_000),
    }
    found |= {name: ("set.pt", content) for name, content in texts.items()}
    odd = "../" * 50 + "\x00\n![x](http://example.org/a.png)" + "ü" * 300 + ".npz"
    found["odd name"] = (odd, npz(images=x[:3], labels=y[:3]))
    return [Case(name, "wrong", (file,)) for name, file in found.items()]


# --- damage ---------------------------------------------------------------------------------------


def damaged(count: int, seed: int = 0) -> Iterator[Case]:
    """Good files of every layout after one to three injuries each."""
    generator = np.random.default_rng(seed)
    names = sorted(good())
    for i in range(count):
        name = names[i % len(names)]
        files = [list(file) for file in good()[name]]
        told = []
        for _ in range(int(generator.integers(1, 4))):
            file = files[int(generator.integers(len(files)))]
            injury = INJURIES[int(generator.integers(len(INJURIES)))]
            file[1] = bytes(injury(bytearray(file[1]), generator))
            told.append(injury.__name__.strip("_"))
        title = f"{name} {i}: {', '.join(told)}"
        yield Case(title, "damaged", tuple((n, c) for n, c in files))


def _place(content: bytearray, generator: np.random.Generator) -> int:
    """Anywhere, more often near either end, where directories and headers are."""
    where = generator.integers(3)
    limit = len(content) if where == 2 else min(len(content), 400)
    place = int(generator.integers(max(1, limit)))
    return max(0, len(content) - 1 - place) if where == 1 else place


def _flip(content: bytearray, generator: np.random.Generator) -> bytearray:
    if content:
        content[_place(content, generator)] ^= 1 << int(generator.integers(8))
    return content


def _bytes(content: bytearray, generator: np.random.Generator) -> bytearray:
    for _ in range(8 if content else 0):
        content[_place(content, generator)] = int(generator.integers(256))
    return content


def _extreme(content: bytearray, generator: np.random.Generator) -> bytearray:
    start, width = _place(content, generator), int(generator.choice([1, 2, 4, 8]))
    content[start : start + width] = bytes([int(generator.choice([0, 0x7F, 0x80, 0xFF]))]) * width
    return content


def _cut(content: bytearray, generator: np.random.Generator) -> bytearray:
    return content[: _place(content, generator)]


def _without(content: bytearray, generator: np.random.Generator) -> bytearray:
    start = _place(content, generator)
    del content[start : start + int(generator.integers(1, 64))]
    return content


def _repeated(content: bytearray, generator: np.random.Generator) -> bytearray:
    start = _place(content, generator)
    content[start:start] = content[start : start + int(generator.integers(1, 64))]
    return content


def _moved(content: bytearray, generator: np.random.Generator) -> bytearray:
    one, other = _place(content, generator), _place(content, generator)
    content[one : one + 16], content[other : other + 16] = (
        content[other : other + 16],
        content[one : one + 16],
    )
    return content  # fmt: skip


INJURIES = (_flip, _flip, _bytes, _extreme, _cut, _without, _repeated, _moved)


# --- own data: pictures and parquet files ---------------------------------------------------------


def folders(root: Path, only: Sequence[str] = ()) -> Iterator[tuple[str, Path]]:
    """Folders of own data under `root`, made one by one: (name, folder). Each is a bomb or nonsense.

    `only`: those of these names.
    """
    for name, content in _pictures().items():
        if only and name not in only:
            continue
        folder = root / name.replace(" ", "-")
        for label in ("cat", "dog"):
            (folder / label).mkdir(parents=True)
            for i in range(4):
                (folder / label / f"{i}.png").write_bytes(png(8, 8))
        (folder / "dog" / "9.png").write_bytes(content)
        yield name, folder
    for name, content in _tables().items():
        if only and name not in only:
            continue
        folder = root / name.replace(" ", "-")
        folder.mkdir(parents=True)
        (folder / "train-0.parquet").write_bytes(content)
        yield name, folder


def png(width: int, height: int, rows: int | None = None, extra: bytes = b"") -> bytes:
    """A grey PNG of zeros that says this size; only `rows` of it are there."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    size = (width + 1) * (height if rows is None else rows)
    packed = zlib.compressobj(9)
    data = b"".join(packed.compress(bytes(min(BLOCK, size - s))) for s in range(0, size, BLOCK))
    body = (
        chunk(b"IHDR", head) + extra + chunk(b"IDAT", data + packed.flush()) + chunk(b"IEND", b"")
    )
    return PNG_START + body


def _pictures() -> dict[str, bytes]:
    text = b"zTXtnote\x00\x00" + zlib.compress(bytes(200 << 20))
    note = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    bmp = struct.pack("<IHHIIiiHHI20x", 1, 0, 0, 54, 40, 30000, 30000, 1, 24, 0)
    return {
        "png of 100,000 a side": png(100_000, 100_000, rows=1),
        "png of 9,000 a side": png(9_000, 9_000),
        "png of 2 ** 31 - 1": png(2**31 - 1, 2**31 - 1, rows=0),
        "png with 200 MB of text": png(8, 8, extra=note),
        "png without pixels": png(8, 8, rows=0),
        "png of no size": png(0, 8),
        "gif that says 65535": b"GIF89a\xff\xff\xff\xff\x80\x00\x00" + bytes(6) + b",",
        "bmp of 2 GB": b"BM" + bmp,
        "ppm of 10 ** 9": b"P6 1000000000 1000000000 255\n",
        "tiff": b"II*\x00\x08\x00\x00\x00\xff\xff" + b"\xff" * 200,
        "words": b"no picture at all",
        "nothing": b"",
    }


def table(pictures: Any, labels: Any, metadata: dict[bytes, bytes] | None = None) -> bytes:
    """A parquet file with a picture and a label column, packed as small as it goes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = pa.table({"image": pa.array(pictures, pa.binary()), "label": labels})
    out = io.BytesIO()
    pq.write_table(made.replace_schema_metadata(metadata), out, compression="zstd")
    return out.getvalue()


def _tables() -> dict[str, bytes]:
    import pyarrow as pa

    rows, count = [png(8, 8)] * 100, 100
    labels = pa.array([i % 2 for i in range(count)])
    plain = table(rows, labels)
    many = 20_000_000
    return {
        "parquet of 20 million rows": table(
            pa.nulls(many, pa.binary()), pa.array(np.zeros(many, np.int8))
        ),
        "parquet with a picture of 128 MB": table([*rows[:99], bytes(128 << 20)], labels),
        "parquet with a label of 64 MB": table(rows, pa.array(["a"] * 99 + ["b" * (64 << 20)])),
        "parquet that says 2 ** 40 rows": _with_rows(plain, count, 2**40, every=False),
        "parquet that says 2 ** 40 everywhere": _with_rows(plain, count, 2**40, every=True),
        "parquet that says -5 rows": _with_rows(plain, count, -5, every=False),
        "parquet with a footer of 2 GB": plain[:-8] + b"\xff\xff\xff\x7fPAR1",
        "parquet cut off": plain[: len(plain) // 2],
    }


def _with_rows(content: bytes, rows: int, wanted: int, every: bool) -> bytes:
    """The parquet file with another number of rows in its footer (a 64-bit field of compact Thrift)."""

    def field(n: int) -> bytes:
        n, out = (n << 1) ^ (n >> 63), b"\x16"
        while n > 127:
            out, n = out + bytes([n & 127 | 128]), n >> 7
        return out + bytes([n])

    length = struct.unpack("<I", content[-8:-4])[0]
    footer = content[-8 - length : -8]
    footer = footer.replace(field(rows), field(wanted), -1 if every else 1)
    return content[: -8 - length] + footer + struct.pack("<I", len(footer)) + b"PAR1"
