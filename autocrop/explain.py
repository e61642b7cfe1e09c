"""Why this crop: one picture with the crop, the runners-up with their scores, and the model's own maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from autocrop.engines import Engine, Features
from autocrop.geometry import boxes as bx
from autocrop.search.crop import Crop

WIDTH = 960
"""Of the picture, in pixels."""
LARGEST_HEIGHT = 720
"""Of the photo in it: a tall one is narrower than the picture."""
GAP = 16
COLORS = ("#ffd400", "#ff5da2", "#35c9ff", "#7dff6b", "#ff9a3d", "#c08bff", "#ffffff", "#66ffe0")
"""Of the chosen crop, the second, the third and so on."""
DARKENED = 0.45
"""Brightness of what the chosen crop leaves out."""
COVERED = 64
"""Places a side at which the overlap of set prediction's proposals is shown."""
STRONGEST = 3
"""SAFRC's attended maps that are shown one by one."""

Maps = dict[str, NDArray[np.float32]]


def heat_maps(engine: Engine, features: Features) -> Maps:
    """What a model looks at, as maps ``[h, w]`` by title; which ones depends on the model.

    VRN: the strength of its view-wise features. SAFRC: its attended maps, their mean and the strongest. ASM-Net: what
    matters (θ_avg, eq. 5) and what must be in the right place (θ_std, eq. 6). CBLNet: its attention over rows and over
    columns, mean over the heads. Set prediction: how much of its proposals, by their validity, holds each place.
    """
    maps = engine.maps(features)
    return _READERS[engine.network](maps) if engine.network in _READERS else {}


def explain(image: NDArray[np.uint8], crops: Sequence[Crop], maps: Maps) -> Image.Image:
    """Draw the picture.

    Args:
        image: the upright photo, RGB ``[h, w, 3]``, of any size.
        crops: found in it, the chosen one first.
        maps: from :func:`heat_maps`.

    Returns:
        RGB, :data:`WIDTH` wide.
    """
    scale = min(WIDTH / image.shape[1], LARGEST_HEIGHT / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    photo = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
    parts = [_centered(_boxes(photo, crops)), _legend(crops)]
    if maps:
        parts.append(_panels(photo, maps))
    picture = Image.new("RGB", (WIDTH, sum(part.height for part in parts) + GAP * (len(parts) - 1)), "white")
    y = 0
    for part in parts:
        picture.paste(part, (0, y))
        y += part.height + GAP
    return picture


def _of_vrn(maps: Maps) -> Maps:
    return {"View-wise features: strength": np.sqrt(np.square(maps["features"]).mean(axis=0))}


def _of_safrc(maps: Maps) -> Maps:
    if "peaks" not in maps:
        return {"Region features: strength": np.sqrt(np.square(maps["features"]).mean(axis=0))}
    peaks = maps["peaks"]
    order = np.argsort(-peaks.mean(axis=(1, 2)))[:STRONGEST]
    titles = {f"Attended map of block {block + 1}": peaks[block] for block in order}
    return {"Attended maps: mean": peaks.mean(axis=0)} | titles


def _of_asmnet(maps: Maps) -> Maps:
    scores = maps["scores"]
    titles = {"Content-important (mean score over partitions)": scores.mean(axis=0)}
    if len(scores) > 1:
        titles["Composition-sensitive (their spread)"] = scores.std(axis=0)
    return titles


def _of_cblnet(maps: Maps) -> Maps:
    over_rows, over_columns = np.split(maps["attention"], 2)
    return {
        "Attention that places the left and right sides": over_rows.mean(axis=0),
        "Attention that places the upper and lower sides": over_columns.mean(axis=0),
    }


def _of_setpred(maps: Maps) -> Maps:
    places = (np.arange(COVERED) + 0.5) / COVERED
    left, top, right, bottom = maps["boxes"].T[..., None]
    across, down = (places >= left) & (places <= right), (places >= top) & (places <= bottom)
    inside = (down[:, :, None] & across[:, None, :]).astype(np.float32)
    weight = maps["confidence"] / max(float(maps["confidence"].sum()), 1e-12)
    return {"Share of the proposals, by validity, that hold a place": np.tensordot(weight, inside, 1)}


_READERS: dict[str, Callable[[Maps], Maps]] = {
    "vrn": _of_vrn,
    "safrc": _of_safrc,
    "asmnet": _of_asmnet,
    "cblnet": _of_cblnet,
    "setpred": _of_setpred,
}


def _boxes(photo: NDArray[np.uint8], crops: Sequence[Crop]) -> Image.Image:
    """The photo with what the best crop leaves out darkened, and every crop's outline and number."""
    height, width = photo.shape[:2]
    boxes = [_scaled(crop, width, height) for crop in crops]
    dark = (photo * DARKENED).astype(np.uint8)
    left, top, right, bottom = boxes[0]
    dark[top:bottom, left:right] = photo[top:bottom, left:right]
    picture = Image.fromarray(dark)
    draw = ImageDraw.Draw(picture)
    font = _font(18)
    for rank, box in reversed(list(enumerate(boxes))):  # the best one on top
        color = COLORS[rank % len(COLORS)]
        x1, y1, x2, y2 = box
        draw.rectangle((x1, y1, x2 - 1, y2 - 1), outline=color, width=4 if rank == 0 else 2)
        # Numbers stand side by side where crops share a corner.
        x = x1 + 6 + 26 * sum(abs(x1 - other[0]) < 26 and abs(y1 - other[1]) < 26 for other in boxes[:rank])
        draw.rectangle((x, y1 + 6, x + 22, y1 + 30), fill=color)
        draw.text((x + 11, y1 + 18), str(rank + 1), fill="black", font=font, anchor="mm")
    return picture


def _scaled(crop: Crop, width: int, height: int) -> tuple[int, int, int, int]:
    """The crop's box in a copy of the photo of another size."""
    return bx.to_pixels(np.divide(crop.box, (*crop.photo, *crop.photo)), width, height)


def _legend(crops: Sequence[Crop]) -> Image.Image:
    """A line for each crop, and one for the photo as it is."""
    font, line = _font(16), 24
    picture = Image.new("RGB", (WIDTH, line * (len(crops) + 1)), "white")
    draw = ImageDraw.Draw(picture)
    for rank, crop in enumerate(crops):
        y = rank * line
        draw.rectangle((8, y + 3, 26, y + 21), fill=COLORS[rank % len(COLORS)], outline="black")
        draw.text((17, y + 12), str(rank + 1), fill="black", font=_font(14), anchor="mm")
        text = f"score {crop.score:.3f}   {crop.width} x {crop.height} at {crop.box[0]}, {crop.box[1]}"
        draw.text((38, y + 12), text, fill="black", font=font, anchor="lm")
    full = f"score {crops[0].score_full:.3f}   the whole photo, {crops[0].photo[0]} x {crops[0].photo[1]}"
    draw.text((38, len(crops) * line + 12), full, fill="#555555", font=font, anchor="lm")
    return picture


def _panels(photo: NDArray[np.uint8], maps: Maps) -> Image.Image:
    """The maps over a gray copy of the photo, two in a row, with their titles."""
    columns = min(2, len(maps))
    width = (WIDTH - GAP * (columns - 1)) // columns
    scale = min(width / photo.shape[1], LARGEST_HEIGHT / 2 / photo.shape[0], 1.0)
    size = (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    title, font = 26, _font(16)
    rows = -(-len(maps) // columns)
    picture = Image.new("RGB", (WIDTH, rows * (size[1] + title) + GAP * (rows - 1)), "white")
    draw = ImageDraw.Draw(picture)
    for number, (text, values) in enumerate(maps.items()):
        x, y = number % columns * (width + GAP), number // columns * (size[1] + title + GAP)
        draw.text((x, y + title / 2), text, fill="black", font=font, anchor="lm")
        picture.paste(Image.fromarray(_heat(gray, values)), (x, y + title))
    return picture


def _heat(gray: NDArray[np.uint8], values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A map, from its lowest value to its highest, in colors over the photo."""
    low, high = np.quantile(values, (0.01, 0.99))
    relative = np.clip((values - low) / max(float(high - low), 1e-9), 0, 1)
    resized = cv2.resize(relative.astype(np.float32), gray.shape[::-1], interpolation=cv2.INTER_CUBIC)
    colored = cv2.applyColorMap((resized.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    return np.asarray(0.65 * colored + 0.35 * gray[..., None]).astype(np.uint8)


def _centered(picture: Image.Image) -> Image.Image:
    frame = Image.new("RGB", (WIDTH, picture.height), "white")
    frame.paste(picture, ((WIDTH - picture.width) // 2, 0))
    return frame


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
