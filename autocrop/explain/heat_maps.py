"""Heat maps that show what a model looks at, extracted from its feature maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from autocrop.engines import Engine, Features

Maps = dict[str, NDArray[np.float32]]
"""Feature maps ``[C, h, w]`` by name, or heat maps ``[h, w]`` by title."""

COVERAGE_SIDE = 64
"""Width and height of the heat map of set prediction."""
MAX_ATTENDED_MAPS = 3
"""Largest number of attended maps of SAFRC that are shown one by one."""


def heat_maps(engine: Engine, features: Features) -> Maps:
    """Extract heat maps ``[h, w]`` by title that show what a model looks at.

    - VRN: magnitude of the view-wise features.
    - SAFRC: mean of the attended maps, and the strongest ones.
    - ASM-Net: content (θ_avg, eq. 5) and composition (θ_std, eq. 6).
    - CBLNet: attention over rows and over columns, mean over the heads.
    - Set prediction: share of the proposals, weighted by their validity, that contain each place.

    Other networks have none.
    """
    reader = _READERS.get(engine.network)
    return {} if reader is None else reader(engine.maps(features))


def _read_vrn(maps: Maps) -> Maps:
    return {"View-wise features: strength": _magnitude(maps["features"])}


def _read_safrc(maps: Maps) -> Maps:
    if "peaks" not in maps:
        return {"Region features: strength": _magnitude(maps["features"])}
    peaks = maps["peaks"]
    strongest = np.argsort(-peaks.mean(axis=(1, 2)))[:MAX_ATTENDED_MAPS]
    titles = {f"Attended map of block {block + 1}": peaks[block] for block in strongest}
    return {"Attended maps: mean": peaks.mean(axis=0)} | titles


def _read_asmnet(maps: Maps) -> Maps:
    scores = maps["scores"]
    titles = {"Content-important (mean score over partitions)": scores.mean(axis=0)}
    if len(scores) > 1:
        titles["Composition-sensitive (their spread)"] = scores.std(axis=0)
    return titles


def _read_cblnet(maps: Maps) -> Maps:
    over_rows, over_columns = np.split(maps["attention"], 2)
    return {
        "Attention that places the left and right sides": over_rows.mean(axis=0),
        "Attention that places the upper and lower sides": over_columns.mean(axis=0),
    }


def _read_setpred(maps: Maps) -> Maps:
    places = (np.arange(COVERAGE_SIDE) + 0.5) / COVERAGE_SIDE
    left, top, right, bottom = maps["boxes"].T[..., None]
    in_columns, in_rows = (places >= left) & (places <= right), (places >= top) & (places <= bottom)
    inside = (in_rows[:, :, None] & in_columns[:, None, :]).astype(np.float32)  # [K, h, w]
    weight = maps["confidence"] / max(float(maps["confidence"].sum()), 1e-12)
    return {"Share of the proposals that contain each point": np.tensordot(weight, inside, 1)}


def _magnitude(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the root mean square over channels: ``[C, h, w]`` → ``[h, w]``."""
    return np.sqrt(np.square(features).mean(axis=0))


_READERS: dict[str, Callable[[Maps], Maps]] = {
    "vrn": _read_vrn,
    "safrc": _read_safrc,
    "asmnet": _read_asmnet,
    "cblnet": _read_cblnet,
    "setpred": _read_setpred,
}
"""Network → function from its feature maps to heat maps."""
