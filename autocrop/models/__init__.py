"""The papers' networks in torch. One paper, one file: network, loss, recipe. Cropping on a CPU needs none of it."""

from __future__ import annotations

from autocrop.models.asmnet import ASMNet
from autocrop.models.backbones import Pyramid
from autocrop.models.base import CroppingModel, Recipe, Views
from autocrop.models.cblnet import CBLNet
from autocrop.models.safrc import SAFRC
from autocrop.models.setpred import SetPrediction
from autocrop.models.vrn import VRN

__all__ = ["MODELS", "CroppingModel", "Pyramid", "Recipe", "Views"]

MODELS: dict[str, type[CroppingModel]] = {
    network.NAME: network for network in (VRN, SAFRC, ASMNet, CBLNet, SetPrediction)
}
"""Name on the command line → network."""
