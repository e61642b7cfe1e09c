"""Aspect ratios and sizes as people write them."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from autocrop.errors import UsageError

Ratio = tuple[int, int]
"""(width, height) in lowest terms."""

_NUMBER = r"\d+(?:\.\d+)?"
_RATIO = re.compile(rf"\s*({_NUMBER})\s*(?:[:x/]\s*({_NUMBER}))?\s*", re.IGNORECASE)
_SIZE = re.compile(r"\s*(\d+)\s*x\s*(\d+)\s*", re.IGNORECASE)


def parse_ratio(text: str) -> Ratio:
    """``"4:3"``, ``"4x3"``, ``"1.91:1"`` or ``"1.5"`` as whole numbers in lowest terms.

    Two numbers are meant exactly; one is taken for the simplest ratio near it, see :func:`simplest`.

    Raises:
        UsageError: it is none of these, or a side is 0.
    """
    match = _RATIO.fullmatch(text)
    width, height = (Fraction(match[1]), Fraction(match[2] or 1)) if match else (Fraction(0), Fraction(0))
    if not width or not height:
        raise UsageError(f"'{text}' is no aspect ratio. Write width:height, for example 4:3 or 1.91:1.")
    return simplest(width) if match and match[2] is None else (width / height).as_integer_ratio()


def parse_size(text: str) -> tuple[int, int]:
    """``"1080x1350"`` as (width, height) in pixels.

    Raises:
        UsageError: it is not of that form, or a side is 0.
    """
    match = _SIZE.fullmatch(text)
    if match is None or not int(match[1]) or not int(match[2]):
        raise UsageError(f"'{text}' is no size. Write widthxheight in pixels, for example 1080x1350.")
    return int(match[1]), int(match[2])


def simplest(value: Fraction) -> Ratio:
    """The ratio in the smallest whole numbers within a thousandth of *value*: 1.7778 is 16:9, 1.618 is 34:21."""
    for limit in range(1, 1001):
        near = value.limit_denominator(limit)
        if abs(near - value) <= value / 1000:
            return near.as_integer_ratio()
    return value.as_integer_ratio()


def reduced(width: int, height: int) -> Ratio:
    """The ratio of two lengths in lowest terms."""
    divisor = math.gcd(width, height)
    return width // divisor, height // divisor


def as_ratio(ratio: str | float | Ratio | None) -> Ratio | None:
    """What the Python API takes for a ratio, in lowest terms.

    Raises:
        UsageError: it is not positive, or no ratio at all.
    """
    if ratio is None or isinstance(ratio, str):
        return None if ratio is None else parse_ratio(ratio)
    try:
        if isinstance(ratio, tuple):
            width, height = (Fraction(float(side)) for side in ratio)
            if width > 0 and height > 0:
                return (width / height).limit_denominator(10_000).as_integer_ratio()
        elif ratio > 0:
            return simplest(Fraction(float(ratio)))
    except (TypeError, ValueError, OverflowError):
        pass
    raise UsageError(f"{ratio!r} is no aspect ratio. Give '4:3', (4, 3), or a positive number.")
