"""Drawing of the picture that explains a crop."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from autocrop.explain.heat_maps import Maps
from autocrop.geometry.boxes import PixelBox, to_pixels
from autocrop.search.crop import Crop

WIDTH = 960
"""Width of the picture in pixels."""
MAX_PHOTO_HEIGHT = 720
"""Largest height of the photo in the picture. A tall photo is narrower than the picture."""
GAP = 16
"""Distance between the parts of the picture in pixels."""
COLORS = ("#ffd400", "#ff5da2", "#35c9ff", "#7dff6b", "#ff9a3d", "#c08bff", "#ffffff", "#66ffe0")
"""Colors of the crops, best first."""
OUTSIDE_BRIGHTNESS = 0.45
"""Brightness of the area outside the best crop."""
OUTLINE, BEST_OUTLINE = 2, 4
"""Width of the outlines of crops in pixels."""

BADGE_WIDTH, BADGE_HEIGHT = 22, 24
"""Size of the badge with a crop's number."""
BADGE_MARGIN = 6
"""Distance of a badge from the crop's corner."""
BADGE_STEP = 26
"""Distance between the badges in a row. Crops whose corners are closer than this put their badges in one row."""
BADGE_FONT_SIZE = 18

LEGEND_LINE = 24
"""Height of a line of the legend."""
LEGEND_SWATCH = (8, 3, 26, 21)
"""(left, top, right, bottom) of a color swatch in its line."""
LEGEND_TEXT_LEFT = 38
LEGEND_FONT_SIZE, LEGEND_NUMBER_FONT_SIZE = 16, 14
FULL_PHOTO_COLOR = "#555555"
"""Color of the legend's line about the whole photo."""

MAX_COLUMNS = 2
"""Largest number of heat maps side by side."""
TITLE_HEIGHT, TITLE_FONT_SIZE = 26, 16
"""Height of the line with a heat map's title, and size of its text."""
HEAT_OPACITY = 0.65
"""Opacity of a heat map over the gray photo."""
HEAT_QUANTILES = (0.01, 0.99)
"""Quantiles of a heat map that get the lowest and highest color. They keep single outliers from dimming the rest."""


def draw(image: NDArray[np.uint8], crops: Sequence[Crop], maps: Maps) -> Image.Image:
    """Draw the crops of a photo, a legend, and the heat maps.

    Args:
        image: the upright photo, RGB ``[h, w, 3]``, of any size.
        crops: crops of the photo, best first.
        maps: heat maps from :func:`heat_maps`.

    Returns:
        RGB picture, :data:`WIDTH` pixels wide.
    """
    scale = min(WIDTH / image.shape[1], MAX_PHOTO_HEIGHT / image.shape[0])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    photo = np.asarray(cv2.resize(image, _scaled_size(image, scale), interpolation=interpolation), np.uint8)
    parts = [_centered(_draw_crops(photo, crops)), _draw_legend(crops)]
    if maps:
        parts.append(_draw_heat_maps(photo, maps))
    picture = Image.new("RGB", (WIDTH, sum(part.height for part in parts) + GAP * (len(parts) - 1)), "white")
    y = 0
    for part in parts:
        picture.paste(part, (0, y))
        y += part.height + GAP
    return picture


def _draw_crops(photo: NDArray[np.uint8], crops: Sequence[Crop]) -> Image.Image:
    """Darken the area outside the best crop, and draw the outline and number of every crop."""
    boxes = [_scaled_box(crop, photo) for crop in crops]
    pixels = (photo * OUTSIDE_BRIGHTNESS).astype(np.uint8)
    left, top, right, bottom = boxes[0]
    pixels[top:bottom, left:right] = photo[top:bottom, left:right]
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for rank in reversed(range(len(boxes))):  # the best crop last, so that it is on top
        _draw_crop(draw, boxes, rank)
    return picture


def _draw_crop(draw: ImageDraw.ImageDraw, boxes: Sequence[PixelBox], rank: int) -> None:
    """Draw the outline of one crop and a badge with its number. Badges of crops that share a corner form a row."""
    left, top, right, bottom = boxes[rank]
    color = COLORS[rank % len(COLORS)]
    draw.rectangle((left, top, right - 1, bottom - 1), outline=color, width=OUTLINE if rank else BEST_OUTLINE)
    better_in_corner = sum(
        abs(left - other[0]) < BADGE_STEP and abs(top - other[1]) < BADGE_STEP for other in boxes[:rank]
    )
    x, y = left + BADGE_MARGIN + BADGE_STEP * better_in_corner, top + BADGE_MARGIN
    draw.rectangle((x, y, x + BADGE_WIDTH, y + BADGE_HEIGHT), fill=color)
    center = x + BADGE_WIDTH // 2, y + BADGE_HEIGHT // 2
    draw.text(center, str(rank + 1), fill="black", font=_font(BADGE_FONT_SIZE), anchor="mm")


def _draw_legend(crops: Sequence[Crop]) -> Image.Image:
    """Describe each crop, and the whole photo, in one line."""
    picture = Image.new("RGB", (WIDTH, LEGEND_LINE * (len(crops) + 1)), "white")
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = LEGEND_SWATCH
    number_font, font = _font(LEGEND_NUMBER_FONT_SIZE), _font(LEGEND_FONT_SIZE)
    for rank, crop in enumerate(crops):
        y = rank * LEGEND_LINE
        middle = y + LEGEND_LINE // 2
        draw.rectangle((left, y + top, right, y + bottom), fill=COLORS[rank % len(COLORS)], outline="black")
        draw.text(((left + right) // 2, middle), str(rank + 1), fill="black", font=number_font, anchor="mm")
        text = f"score {crop.score:.3f}   {crop.width} x {crop.height} at {crop.box[0]}, {crop.box[1]}"
        draw.text((LEGEND_TEXT_LEFT, middle), text, fill="black", font=font, anchor="lm")
    best = crops[0]
    text = f"score {best.score_full:.3f}   the whole photo, {best.photo[0]} x {best.photo[1]}"
    middle = len(crops) * LEGEND_LINE + LEGEND_LINE // 2
    draw.text((LEGEND_TEXT_LEFT, middle), text, fill=FULL_PHOTO_COLOR, font=font, anchor="lm")
    return picture


def _draw_heat_maps(photo: NDArray[np.uint8], maps: Maps) -> Image.Image:
    """Draw the heat maps with their titles in rows, each over a gray copy of the photo."""
    columns = min(MAX_COLUMNS, len(maps))
    width = (WIDTH - GAP * (columns - 1)) // columns
    scale = min(width / photo.shape[1], MAX_PHOTO_HEIGHT / 2 / photo.shape[0], 1.0)
    small = cv2.resize(photo, _scaled_size(photo, scale), interpolation=cv2.INTER_AREA)
    gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    row_height = TITLE_HEIGHT + gray.shape[0]
    rows = -(-len(maps) // columns)
    picture = Image.new("RGB", (WIDTH, rows * row_height + GAP * (rows - 1)), "white")
    draw = ImageDraw.Draw(picture)
    for number, (title, values) in enumerate(maps.items()):
        x, y = number % columns * (width + GAP), number // columns * (row_height + GAP)
        draw.text((x, y + TITLE_HEIGHT / 2), title, fill="black", font=_font(TITLE_FONT_SIZE), anchor="lm")
        picture.paste(Image.fromarray(_colored(values, gray)), (x, y + TITLE_HEIGHT))
    return picture


def _colored(values: NDArray[np.float32], gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Color a heat map ``[h, w]`` and blend it with a gray photo ``[H, W]``, ``[H, W, 3]``."""
    low, high = np.quantile(values, HEAT_QUANTILES)
    relative = np.clip((values - low) / max(float(high - low), 1e-9), 0, 1)
    resized = cv2.resize(relative.astype(np.float32), gray.shape[::-1], interpolation=cv2.INTER_CUBIC)
    colored = cv2.applyColorMap((resized.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    return np.asarray(HEAT_OPACITY * colored + (1 - HEAT_OPACITY) * gray[..., None]).astype(np.uint8)


def _scaled_size(image: NDArray[np.uint8], scale: float) -> tuple[int, int]:
    """(width, height) of a scaled image, at least one pixel each."""
    return max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))


def _scaled_box(crop: Crop, photo: NDArray[np.uint8]) -> PixelBox:
    """Convert the box of a crop to a resized copy of its photo."""
    return to_pixels(np.divide(crop.box, (*crop.photo, *crop.photo)), photo.shape[1], photo.shape[0])


def _centered(picture: Image.Image) -> Image.Image:
    frame = Image.new("RGB", (WIDTH, picture.height), "white")
    frame.paste(picture, ((WIDTH - picture.width) // 2, 0))
    return frame


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
