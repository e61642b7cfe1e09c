"""The papers' networks in torch: one paper, one file, with its network, loss and recipe. Cropping on a CPU needs none of it."""

from __future__ import annotations

from autocrop.models.base import CroppingModel, Recipe, Views
from autocrop.models.vrn import VRN, VRNRecipe

__all__ = ["MODELS", "CroppingModel", "Recipe", "Views"]

MODELS: dict[str, tuple[type[CroppingModel], type[Recipe]]] = {"vrn": (VRN, VRNRecipe)}
"""Name on the command line → network and recipe."""
