"""Contact sheets: all images of a view in one lossless PNG, every pixel a whole number of screen pixels.

    sheet.by_class(pixels, labels, names, key="images.sheet", what="Distilled images")
    sheet.show(pixels, columns=12, left=names, key="data.rows", alt="Twelve images of each class")

`pixels` are floats (M, C, H, W), 0..1 for real images and never clamped before; labels of rows and
columns are part of the picture, so that a saved copy still says what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from ddcore.base.texts import percent

# Never resampled: on a narrow screen the sheet scrolls.
CSS = (
    "<style>.st-key-NAME{overflow-x:auto}"
    ".st-key-NAME img{image-rendering:pixelated;max-width:none!important;width:WIDTHpx!important}</style>"
)
GAP = 3  # screen pixels between images
MAT = (128, 128, 128)
INK = (0, 0, 0)  # on the mat: contrast 5.3
FONT_PX = 13
LABEL_MAX = 14  # characters; longer names are cut
SCALES = {"clip": "0 black, 1 white", "minmax": "Own min to max", "sigma": "Own mean ± 2.5 σ"}
EFFORT = 1  # of compressing: several times faster than the usual 6, and hardly larger
WIDE = 20  # classes beside each other at most; more become rows


def by_class(
    pixels: np.ndarray,
    labels: Sequence[int],
    names: Sequence[str],
    *,
    key: str,
    what: str,
    mode: str = "clip",
    max_width: int = 900,
    max_scale: int = 10,
    caption: str = "",
) -> None:
    """One column per class while there are few images per class, else one row per class.

    Any order of `labels` is fine: images are put in class order, within a class as they come.
    """
    order = np.argsort(np.asarray(labels), kind="stable")
    per_class = max(1, len(order) // len(names))
    across = per_class <= 5 and len(names) <= WIDE
    if across:
        order = order.reshape(len(names), per_class).T.ravel()
    show(
        pixels[order],
        columns=len(names) if across else per_class,
        top=list(names) if across else None,
        left=None if across else list(names),
        key=key,
        alt=f"{what}, {per_class} per class, in the order {', '.join(names)}",
        mode=mode,
        max_width=max_width,
        max_scale=max_scale,
        caption=caption,
    )


def show(
    pixels: np.ndarray,
    *,
    columns: int,
    key: str,
    alt: str,
    left: Sequence[str] | None = None,
    top: Sequence[str] | None = None,
    mode: str = "clip",
    scale: int | None = None,
    max_width: int = 900,
    max_scale: int = 10,
    caption: str = "",
) -> None:
    """Draw the sheet with its caption: scale, how values became colours, share of clipped values."""
    from ddcore.sets import render

    rows = -(-len(pixels) // columns)
    side = scale or fit(pixels.shape[-1], columns, max_width - gutter(left), max_scale)
    plain = render.canvas(pixels, rows, columns, side, mode=mode, gap=GAP, mat=MAT)
    picture = labelled(plain, left, top)
    caption = " ".join(filter(None, (caption, how(pixels, side, mode))))
    put(picture, key=key, alt=alt, caption=caption)


def put(picture: np.ndarray, *, key: str, alt: str, caption: str = "") -> None:
    """Show a finished sheet, uint8 (height, width, 1 or 3), pixel for pixel."""
    from ddcore.sets import render

    name, width = f"pix-{key.replace('.', '-')}", picture.shape[1]
    with st.container(key=name, gap="xxsmall"):
        st.html(CSS.replace("NAME", name).replace("WIDTH", str(width)))
        content = render.encode(picture, EFFORT)
        st.image(content, width=width, output_format="PNG", alt=alt)
        if caption:
            st.caption(caption)


def fit(width: int, columns: int, room: int, largest: int) -> int:
    """The largest whole scale at which `columns` images of `width` fit into `room` (at least 1)."""
    from ddcore.sets import render

    return min(largest, render.fitting_scale(columns, width, room, GAP))


def how(pixels: np.ndarray, scale: int, mode: str) -> str:
    """How large values are drawn and how they became colours, in one or two sentences."""
    size = "Shown pixel for pixel." if scale == 1 else f"Each pixel is drawn {scale} × {scale}."
    return f"{size} {colours(pixels, mode)}"


def colours(pixels: np.ndarray, mode: str) -> str:
    """How values became colours, in a sentence."""
    from ddcore.sets import render
    from ddcore.sets.importers.scales import SATURATED

    if mode != "clip":
        return f"Shown with {render.MODES[mode]}."
    share = clipped(pixels)
    if share == 0 and (ends := saturated(pixels)) > SATURATED:
        return f"{percent(ends)} of the values are exactly black or white, maybe cut off earlier."
    if share == 0:
        return "No value is clipped."
    return f"{percent(share)} of the values lie outside 0..1 and are clipped."


def clipped(pixels: np.ndarray) -> float:
    """Share of the values that lie outside 0..1 by more than half a grey level."""
    slack = 0.5 / 255
    return float(((pixels < -slack) | (pixels > 1 + slack)).mean())


def saturated(pixels: np.ndarray) -> float:
    """Share of a colour image's values at either end; 0 for grey ones, which may be black and white."""
    return 0.0 if pixels.shape[-3] == 1 else float(((pixels == 0) | (pixels == 1)).mean())


# --- labels ---------------------------------------------------------------------------------------


def labelled(
    sheet: np.ndarray, left: Sequence[str] | None, top: Sequence[str] | None
) -> np.ndarray:
    """The sheet with row names in a gutter on the left and column names above, on the same mat."""
    if not left and not top:
        return sheet
    from PIL import Image, ImageDraw, ImageFont

    inner = Image.fromarray(sheet if sheet.shape[-1] == 3 else sheet.repeat(3, -1))
    width, height = inner.size
    cells = [short(t) for t in top or ()]
    font = ImageFont.load_default(FONT_PX)
    # Names that do not fit beside each other are written upwards.
    upright = any(font.getlength(t) > width / len(cells) - 2 for t in cells)
    above = 0 if not cells else (_longest(font, cells) + 8 if upright else FONT_PX + 8)
    beside = gutter(left)
    canvas = Image.new("RGB", (width + beside, height + above), MAT)
    canvas.paste(inner, (beside, above))
    draw = ImageDraw.Draw(canvas)
    for row, text in enumerate(left or ()):
        y = above + (row + 0.5) * height / len(left)
        draw.text((beside - 6, y), short(text), fill=INK, font=font, anchor="rm")
    for column, text in enumerate(cells):
        x = beside + (column + 0.5) * width / len(cells)
        if upright:
            _upright(canvas, text, font, round(x), above - 4)
        else:
            draw.text((x, above - 4), text, fill=INK, font=font, anchor="md")
    return np.asarray(canvas)


def _upright(canvas: object, text: str, font: object, x: int, bottom: int) -> None:
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (_longest(font, [text]) + 2, FONT_PX + 5), MAT)
    ImageDraw.Draw(strip).text((0, FONT_PX // 2 + 2), text, fill=INK, font=font, anchor="lm")
    turned = strip.rotate(90, expand=True)
    canvas.paste(turned, (x - turned.width // 2, bottom - turned.height))


def _longest(font: object, texts: Sequence[str]) -> int:
    return round(max(font.getlength(t) for t in texts))


def gutter(left: Sequence[str] | None) -> int:
    """Pixels that row names need."""
    if not left:
        return 0
    from PIL import ImageFont

    return _longest(ImageFont.load_default(FONT_PX), [short(t) for t in left]) + 12


def short(text: str) -> str:
    """A name that fits a label."""
    return text if len(text) <= LABEL_MAX else text[: LABEL_MAX - 1] + "…"
