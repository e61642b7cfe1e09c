"""Parsing of aspect ratios and sizes."""

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
    """Parse ``"4:3"``, ``"4x3"``, ``"4/3"``, ``"1.91:1"`` or ``"1.5"``.

    Two numbers are taken exactly. A single number stands for the simplest ratio near it, see :func:`simplest`.

    Raises:
        UsageError: the text is not a ratio, or a side is 0.
    """
    match = _RATIO.fullmatch(text)
    width, height = (Fraction(match[1]), Fraction(match[2] or 1)) if match else (Fraction(0), Fraction(0))
    if not width or not height:
        raise UsageError(f"'{text}' is not a valid aspect ratio. Write width:height, for example 4:3 or 1.91:1.")
    return simplest(width) if match and match[2] is None else (width / height).as_integer_ratio()


def parse_size(text: str) -> tuple[int, int]:
    """Parse ``"1080x1350"`` to (width, height) in pixels.

    Raises:
        UsageError: the text is not a size, or a side is 0.
    """
    match = _SIZE.fullmatch(text)
    if match is None or not int(match[1]) or not int(match[2]):
        raise UsageError(f"'{text}' is not a valid size. Write WIDTHxHEIGHT in pixels, for example 1080x1350.")
    return int(match[1]), int(match[2])


def simplest(value: Fraction) -> Ratio:
    """Find the ratio in the smallest whole numbers within a thousandth of a value: 1.7778 → 16:9, 1.618 → 34:21."""
    for limit in range(1, 1001):
        approximation = value.limit_denominator(limit)
        if abs(approximation - value) <= value / 1000:
            return approximation.as_integer_ratio()
    return value.as_integer_ratio()


def reduced(width: int, height: int) -> Ratio:
    """Reduce a width and a height to lowest terms."""
    divisor = math.gcd(width, height)
    return width // divisor, height // divisor


def as_ratio(ratio: str | float | Ratio | None) -> Ratio | None:
    """Convert a ratio argument of the Python API to lowest terms; None stays None.

    Raises:
        UsageError: the argument is not a positive ratio.
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
    raise UsageError(f"{ratio!r} is not a valid aspect ratio. Pass '4:3', (4, 3), or a positive number.")
