"""The networks of the five papers, in torch. Each paper has one file, with its network, losses and recipes."""

from __future__ import annotations

from autocrop.models.asmnet import ASMNet
from autocrop.models.backbones import Pyramid
from autocrop.models.base import CroppingModel
from autocrop.models.cblnet import CBLNet
from autocrop.models.recipe import Recipe
from autocrop.models.safrc import SAFRC
from autocrop.models.setpred import SetPrediction
from autocrop.models.views import Views
from autocrop.models.vrn import VRN

__all__ = ["MODELS", "CroppingModel", "Pyramid", "Recipe", "Views"]

MODELS: dict[str, type[CroppingModel]] = {model.NAME: model for model in (VRN, SAFRC, ASMNet, CBLNet, SetPrediction)}
"""Model classes by their name on the command line."""
