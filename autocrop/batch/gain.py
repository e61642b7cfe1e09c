"""Decide for ``--min-gain`` whether a crop improves a photo enough."""

from __future__ import annotations

from autocrop.search.crop import Crop


def reason_to_keep(crop: Crop, min_gain: float | None) -> str:
    """Return the reason to leave the photo uncropped, or an empty string.

    Args:
        crop: the best crop of the photo.
        min_gain: smallest difference between the scores of the crop and the whole photo; None accepts any crop.
    """
    gain = crop.score - crop.score_full
    if min_gain is None or gain >= min_gain:
        return ""
    return f"the best crop gains {_format_below(gain, min_gain)}, less than --min-gain {min_gain:.15g}"


def _format_below(value: float, limit: float) -> str:
    """Format *value* with its sign, and with enough digits, at least two, to show that it is below *limit*."""
    for digits in range(2, 16):
        rounded = round(float(value), digits) + 0.0  # adding zero turns -0.0 into 0.0
        if rounded < limit:
            return f"{rounded:+.{digits}f}"
    return f"{value:+.17g}"
