"""The papers' networks in torch. One paper, one file: network, loss, recipe. Cropping on a CPU needs none of it."""

from __future__ import annotations

from autocrop.models.base import CroppingModel, Recipe, Views
from autocrop.models.vrn import VRN

__all__ = ["MODELS", "CroppingModel", "Recipe", "Views"]

MODELS: dict[str, type[CroppingModel]] = {network.NAME: network for network in (VRN,)}
"""Name on the command line → network."""
