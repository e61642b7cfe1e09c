"""Engines run the networks. :func:`load_model` picks the engine, and its callers need not know which one it is."""

from autocrop.engines.base import Engine, Features, Proposals
from autocrop.engines.loading import load_model, pick_device, require_torch

__all__ = ["Engine", "Features", "Proposals", "load_model", "pick_device", "require_torch"]
