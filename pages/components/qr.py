"""QR codes of links: ISO/IEC 18004, byte mode, error correction M, versions 1 to 20.

    qr.matrix("http://lab.example.org:8501/Images?run=0123456789abcdef")

None of the libraries that the dashboard needs anyway makes them. A field is True where it is dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from ddcore.base.errors import SpecError

MOST_VERSION = 20
# Of each version with error correction M: check codewords of a block, number of blocks (table 9).
CHECKS = (10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26)
BLOCKS = (1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16)
BYTES = 0b0100  # the mode
PADS = (0xEC, 0x11)
LEVEL = 0b00  # error correction M in the format bits
FORMAT, FORMAT_MASK = 0x537, 0x5412  # generator, and what is added so that no format is all light
VERSION = 0x1F25  # generator of the version bits
FIELD = 0x11D  # x^8 + x^4 + x^3 + x^2 + 1, over which check codewords are computed
FINDER = 0b1011101  # dark, light, dark three times, light, dark: what a scanner looks for
MASKS: tuple[Callable[[int, int], bool], ...] = (  # of row and column
    lambda i, j: (i + j) % 2 == 0,
    lambda i, j: i % 2 == 0,
    lambda i, j: j % 3 == 0,
    lambda i, j: (i + j) % 3 == 0,
    lambda i, j: (i // 2 + j // 3) % 2 == 0,
    lambda i, j: i * j % 2 + i * j % 3 == 0,
    lambda i, j: (i * j % 2 + i * j % 3) % 2 == 0,
    lambda i, j: ((i + j) % 2 + i * j % 3) % 2 == 0,
)
Modules = list[list[bool]]


def matrix(text: str) -> Modules:
    """The code of a text without its quiet zone, which has to be four fields wide.

    The mask is the one that the standard's penalties like best. `SpecError` if the text is too long.
    """
    content = text.encode()
    version = _version(content)
    codewords = _interleaved(_codewords(content, version), version)
    every = [_drawn(codewords, version, mask) for mask in range(len(MASKS))]
    return min(every, key=penalty)


def capacity(version: int) -> int:
    """How many bytes of text a version holds."""
    return _data_codewords(version) - (2 if version < 10 else 3)


def _version(content: bytes) -> int:
    for version in range(1, MOST_VERSION + 1):
        if len(content) <= capacity(version):
            return version
    most = capacity(MOST_VERSION)
    raise SpecError("link", f"{len(content)} bytes", f"at most {most} for a code that can be read")


# --- codewords ------------------------------------------------------------------------------------


def _size(version: int) -> int:
    return 17 + 4 * version


def _total_codewords(version: int) -> int:
    """What fits into the fields that are no pattern (ISO/IEC 18004, table 1)."""
    fields = (16 * version + 128) * version + 64
    if version > 1:
        count = version // 7 + 2
        fields -= (25 * count - 10) * count - 55
    if version >= 7:
        fields -= 36
    return fields // 8


def _data_codewords(version: int) -> int:
    return _total_codewords(version) - CHECKS[version - 1] * BLOCKS[version - 1]


def _codewords(content: bytes, version: int) -> bytes:
    """Mode, length and content, padded."""
    bits = f"{BYTES:04b}{len(content):0{8 if version < 10 else 16}b}"
    bits += "".join(f"{byte:08b}" for byte in content)
    total = _data_codewords(version)
    bits += "0" * min(4, 8 * total - len(bits))
    bits += "0" * (-len(bits) % 8)
    found = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    return bytes(found + [PADS[i % 2] for i in range(total - len(found))])


def _interleaved(data: bytes, version: int) -> bytes:
    """First codewords of all blocks, then second ones; check codewords after them in the same way."""
    count, checks = BLOCKS[version - 1], CHECKS[version - 1]
    short, longer = divmod(len(data), count)
    blocks, at = [], 0
    for place in range(count):
        size = short + (place >= count - longer)
        blocks.append(data[at : at + size])
        at += size
    ends = [check_codewords(block, checks) for block in blocks]
    return bytes(b for part in (blocks, ends) for b in _columns(part))


def _columns(rows: list[bytes]) -> Iterator[int]:
    for place in range(max(map(len, rows))):
        yield from (row[place] for row in rows if place < len(row))


def check_codewords(data: bytes, count: int) -> bytes:
    """The remainder of the data as a polynomial, times x^count, by (x - 1)(x - 2)(x - 4)..."""
    generator = _generator(count)
    rest = [0] * count
    for byte in data:
        factor = byte ^ rest[0]
        rest = [a ^ _times(factor, g) for a, g in zip([*rest[1:], 0], generator)]
    return bytes(rest)


def _generator(count: int) -> list[int]:
    """Coefficients below the leading one, highest first."""
    found, root = [0] * (count - 1) + [1], 1
    for _ in range(count):
        found = [_times(a, root) ^ b for a, b in zip(found, [*found[1:], 0])]
        root = _times(root, 2)
    return found


def _times(a: int, b: int) -> int:
    """The product in the field of 256 elements."""
    found = 0
    while b:
        found ^= a if b & 1 else 0
        a = (a << 1) ^ (FIELD if a & 0x80 else 0)
        b >>= 1
    return found


# --- the drawing ----------------------------------------------------------------------------------


def _drawn(codewords: bytes, version: int, mask: int) -> Modules:
    size = _size(version)
    fields: list[list[bool | None]] = [[None] * size for _ in range(size)]
    _patterns(fields, version)
    _information(fields, version, mask)
    bits = (byte >> place & 1 for byte in codewords for place in range(7, -1, -1))
    for i, j in _zigzag(fields):
        fields[i][j] = bool(next(bits, 0)) != MASKS[mask](i, j)
    return [[bool(field) for field in row] for row in fields]


def _patterns(fields: list[list[bool | None]], version: int) -> None:
    """Everything that is the same in all codes of a version."""
    size = len(fields)
    for k in range(size):
        fields[6][k] = fields[k][6] = k % 2 == 0
    for top, left in ((3, 3), (3, size - 4), (size - 4, 3)):
        for i in range(-4, 5):
            for j in range(-4, 5):
                if 0 <= top + i < size and 0 <= left + j < size:
                    fields[top + i][left + j] = max(abs(i), abs(j)) not in (2, 4)
    places = alignments(version)
    for top in places:
        for left in places:
            if (top, left) in ((6, 6), (6, size - 7), (size - 7, 6)):
                continue  # the finders' corners
            for i in range(-2, 3):
                for j in range(-2, 3):
                    fields[top + i][left + j] = max(abs(i), abs(j)) != 1


def alignments(version: int) -> list[int]:
    """Rows, and columns, of the alignment patterns (annex E)."""
    if version == 1:
        return []
    count, last = version // 7 + 2, _size(version) - 7
    step = -(-(last - 6) // (2 * (count - 1))) * 2
    return [6, *range(last - step * (count - 2), last + 1, step)]


def _information(fields: list[list[bool | None]], version: int, mask: int) -> None:
    """Format bits beside the finders, twice, and from version 7 on those of the version."""
    size, bits = len(fields), format_bits(mask)
    first = [(i, 8) for i in (0, 1, 2, 3, 4, 5, 7, 8)] + [(8, j) for j in (7, 5, 4, 3, 2, 1, 0)]
    second = [(8, size - 1 - k) for k in range(8)] + [(size - 7 + k, 8) for k in range(7)]
    for places in (first, second):
        for k, (i, j) in enumerate(places):
            fields[i][j] = bool(bits >> k & 1)
    fields[size - 8][8] = True
    if version >= 7:
        bits = version_bits(version)
        for k in range(18):
            near, far = k // 3, size - 11 + k % 3
            fields[near][far] = fields[far][near] = bool(bits >> k & 1)


def format_bits(mask: int) -> int:
    """Error correction and mask with their check bits (annex C)."""
    data = LEVEL << 3 | mask
    return (data << 10 | _remainder(data << 10, FORMAT)) ^ FORMAT_MASK


def version_bits(version: int) -> int:
    """The version with its check bits (annex D)."""
    return version << 12 | _remainder(version << 12, VERSION)


def _remainder(value: int, generator: int) -> int:
    """Of binary polynomials."""
    while value.bit_length() >= generator.bit_length():
        value ^= generator << (value.bit_length() - generator.bit_length())
    return value


def _zigzag(fields: list[list[bool | None]]) -> Iterator[tuple[int, int]]:
    """The free fields in the order of the codewords' bits: pairs of columns from the right, up and down."""
    size = len(fields)
    upwards = True
    for right in [*range(size - 1, 6, -2), *range(5, 0, -2)]:  # column 6 is a pattern
        for i in range(size - 1, -1, -1) if upwards else range(size):
            yield from ((i, j) for j in (right, right - 1) if fields[i][j] is None)
        upwards = not upwards


def penalty(modules: Modules) -> int:
    """How hard a code is to read (7.8.3.1): long runs, blocks, false finders, too dark or too light."""
    size = len(modules)
    found = 0
    for lines in (modules, [list(column) for column in zip(*modules)]):
        for line in lines:
            found += _runs(line) + 40 * _finders(line)
    for above, below in pairwise(modules):
        found += 3 * sum(
            above[j] == above[j + 1] == below[j] == below[j + 1] for j in range(size - 1)
        )
    dark = sum(map(sum, modules))
    return found + 10 * (abs(20 * dark - 10 * size * size) // (size * size))


def _runs(line: list[bool]) -> int:
    found, length = 0, 1
    for one, other in zip(line, [*line[1:], None]):
        if one == other:
            length += 1
            continue
        found += length - 2 if length >= 5 else 0
        length = 1
    return found


def _finders(line: list[bool]) -> int:
    """Patterns like a finder's middle with four light fields beside it."""
    bits = "".join("1" if field else "0" for field in line)
    both = (f"0000{FINDER:07b}", f"{FINDER:07b}0000")
    return sum(bits.startswith(pattern, i) for i in range(len(bits)) for pattern in both)
