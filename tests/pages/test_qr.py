"""QR codes: known codes, known check codewords, and a decoder of their own that shares no code with them."""

from __future__ import annotations

import random

import pytest

from ddcore.base.errors import SpecError
from pages.components import qr

TEXT = "Hello, world!"
# The same text as drawn by the library qrcode 8 (byte mode, M, mask 2), a row of fields as a number.
KNOWN = [
    2081151, 1067585, 1529693, 1527901, 1530205, 1072705, 2086271, 5120, 1560188, 209309, 155086,
    829356, 1823073, 4344, 2084326, 1070510, 1530835, 1528888, 1531748, 1066396, 2087506,
]  # fmt: skip
# Places of the format bits beside the first finder, highest bit first, and what the standard lists for
# error correction M and each mask (annex C.1).
FORMATS = (
    "101010000010010",
    "101000100100101",
    "101111001111100",
    "101101101001011",
    "100010111111001",
    "100000011001110",
    "100111110010111",
    "100101010100000",
)
PLACES = [(8, 0), (8, 1), (8, 2), (8, 3), (8, 4), (8, 5), (8, 7), (8, 8)] + [
    (r, 8) for r in (7, 5, 4, 3, 2, 1, 0)
]
# Centres of alignment patterns as the standard lists them (annex E).
CENTRES = {
    1: [], 2: [6, 18], 6: [6, 34], 7: [6, 22, 38], 10: [6, 28, 50], 13: [6, 34, 62],
    14: [6, 26, 46, 66], 16: [6, 26, 50, 74], 19: [6, 30, 58, 86], 20: [6, 34, 62, 90],
}  # fmt: skip


def test_a_code_of_another_library_is_made_again():
    codewords = qr._interleaved(qr._codewords(TEXT.encode(), 1), 1)
    drawn = qr._drawn(codewords, 1, 2)
    assert [int("".join("01"[f] for f in row), 2) for row in drawn] == KNOWN


def test_check_codewords_of_a_known_example():
    """ "HELLO WORLD" in version 1-M, an example that many texts about the standard work through."""
    data = bytes([32, 91, 11, 120, 209, 114, 220, 77, 67, 64, 236, 17, 236, 17, 236, 17])
    assert list(qr.check_codewords(data, 10)) == [196, 35, 39, 119, 235, 215, 231, 226, 93, 23]


def test_information_bits_are_those_that_the_standard_lists():
    assert [f"{qr.format_bits(mask):015b}" for mask in range(8)] == list(FORMATS)
    assert qr.version_bits(7) == 0b000111110010010100
    assert {version: qr.alignments(version) for version in CENTRES} == CENTRES


@pytest.mark.parametrize("version", range(1, qr.MOST_VERSION + 1))
def test_what_is_drawn_can_be_read(version):
    stream = random.Random(version)
    letters = [chr(c) for c in range(33, 127)]
    text = "".join(stream.choice(letters) for _ in range(qr.capacity(version) - version % 4))
    drawn = qr.matrix(text)
    assert len(drawn) == 17 + 4 * version
    assert decoded(drawn) == text


def test_other_letters_than_english_ones_are_utf8():
    assert decoded(qr.matrix("Größe ≥ 3")) == "Größe ≥ 3"


def test_every_mask_can_be_read():
    codewords = qr._interleaved(qr._codewords(TEXT.encode(), 3), 3)
    for mask in range(8):
        assert decoded(qr._drawn(codewords, 3, mask)) == TEXT


def test_the_mask_with_the_least_penalty_is_taken():
    codewords = qr._interleaved(qr._codewords(TEXT.encode(), 1), 1)
    every = [qr._drawn(codewords, 1, mask) for mask in range(8)]
    assert qr.penalty(qr.matrix(TEXT)) == min(map(qr.penalty, every)) < max(map(qr.penalty, every))


def test_penalties_by_hand():
    assert qr.penalty([[True] * 5] * 5) == 10 * 3 + 16 * 3 + 10 * 10  # runs, blocks, all dark
    line = [bool(int(c)) for c in "10111010000"]
    assert qr._finders(line) == 1 and qr._runs([*line, False]) == 3


def test_too_long_is_one_sentence():
    with pytest.raises(SpecError, match=r"link = '700 bytes' is not allowed: expected at most 666"):
        qr.matrix("x" * 700)


# --- a decoder, from the standard's text ----------------------------------------------------------


def decoded(fields: list[list[bool]]) -> str:
    """The text of a code without damage; asserts that every check holds."""
    size = len(fields)
    version = (size - 17) // 4
    bits = "".join("01"[fields[r][c]] for r, c in PLACES)
    mask = FORMATS.index(bits)
    free = [
        (r, c)
        for c0 in [c for c in range(size - 1, 0, -2) if c > 6] + [5, 3, 1]
        for r in _rows(c0, size)
        for c in (c0, c0 - 1)
        if not _reserved(r, c, size, version)
    ]
    stream = [fields[r][c] ^ _masked(mask, r, c) for r, c in free]
    words = [
        sum(bit << (7 - k) for k, bit in enumerate(stream[i : i + 8]))
        for i in range(0, len(stream) // 8 * 8, 8)
    ]
    data = _corrected(words, version)
    bits = "".join(f"{word:08b}" for word in data)
    assert bits[:4] == "0100"
    width = 8 if version <= 9 else 16
    length = int(bits[4 : 4 + width], 2)
    start = 4 + width
    return bytes(int(bits[start + 8 * i : start + 8 * i + 8], 2) for i in range(length)).decode()


def _rows(column: int, size: int) -> range:
    """Upwards in the rightmost pair of columns, then turn by turn."""
    pair = (size - 1 - column) // 2 if column > 6 else (size - 2 - column) // 2
    return range(size - 1, -1, -1) if pair % 2 == 0 else range(size)


def _reserved(r: int, c: int, size: int, version: int) -> bool:
    corner = (r < 9 and (c < 9 or c >= size - 8)) or (r >= size - 8 and c < 9)
    information = version >= 7 and (
        (r < 6 and size - 11 <= c < size - 8) or (c < 6 and size - 11 <= r < size - 8)
    )
    centres = CENTRES.get(version) or qr.alignments(version)
    aligned = any(
        abs(r - a) <= 2 and abs(c - b) <= 2
        for a in centres
        for b in centres
        if not ((a < 9 and (b < 9 or b > size - 9)) or (a > size - 9 and b < 9))
    )
    return corner or information or aligned or r == 6 or c == 6


def _masked(mask: int, r: int, c: int) -> bool:
    return [
        (r + c) % 2,
        r % 2,
        c % 3,
        (r + c) % 3,
        (r // 2 + c // 3) % 2,
        (r * c) % 2 + (r * c) % 3,
        ((r * c) % 2 + (r * c) % 3) % 2,
        ((r + c) % 2 + (r * c) % 3) % 2,
    ][mask] == 0


# Blocks of the versions with error correction M: (how many, codewords, data codewords) of table 9.
TABLE = [
    [(1, 26, 16)], [(1, 44, 28)], [(1, 70, 44)], [(2, 50, 32)], [(2, 67, 43)], [(4, 43, 27)],
    [(4, 49, 31)], [(2, 60, 38), (2, 61, 39)], [(3, 58, 36), (2, 59, 37)], [(4, 69, 43), (1, 70, 44)],
    [(1, 80, 50), (4, 81, 51)], [(6, 58, 36), (2, 59, 37)], [(8, 59, 37), (1, 60, 38)],
    [(4, 64, 40), (5, 65, 41)], [(5, 65, 41), (5, 66, 42)], [(7, 73, 45), (3, 74, 46)],
    [(10, 74, 46), (1, 75, 47)], [(9, 69, 43), (4, 70, 44)], [(3, 70, 44), (11, 71, 45)],
    [(3, 67, 41), (13, 68, 42)],
]  # fmt: skip


def _corrected(words: list[int], version: int) -> list[int]:
    """The data codewords in their order; every block has to be a multiple of the generator."""
    sizes = [(n, d) for count, n, d in TABLE[version - 1] for _ in range(count)]
    assert len(words) == sum(n for n, _ in sizes)
    blocks: list[list[int]] = [[] for _ in sizes]
    at = iter(words)
    for k in range(max(d for _, d in sizes)):
        for block, (_, d) in zip(blocks, sizes):
            if k < d:
                block.append(next(at))
    data = [word for block in blocks for word in block]
    for _ in range(sizes[0][0] - sizes[0][1]):
        for block in blocks:
            block.append(next(at))
    power, log = _tables()
    for block, (n, d) in zip(blocks, sizes):
        for k in range(n - d):  # the value of the polynomial at the k-th root
            value = 0
            for word in block:
                value = (power[(log[value] + k) % 255] if value else 0) ^ word
            assert value == 0
    return data


def _tables() -> tuple[list[int], dict[int, int]]:
    power = [1]
    for _ in range(254):
        double = power[-1] * 2
        power.append(double ^ 0x11D if double > 255 else double)
    return power, {value: k for k, value in enumerate(power)}
