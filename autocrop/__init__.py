"""Crop photos the way a photographer would.

>>> import autocrop
>>> crop = autocrop.crop("photo.jpg", ratio="4:3")
>>> crop.save("photo.jpg", "cropped.jpg")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autocrop.api import Cropper, crop, list_models
    from autocrop.errors import AutocropError
    from autocrop.search.crop import Crop

__version__ = "0.1.0"
__all__ = ["AutocropError", "Crop", "Cropper", "__version__", "crop", "list_models"]

_HOME = {
    "AutocropError": "autocrop.errors",
    "Crop": "autocrop.search",
    "Cropper": "autocrop.api",
    "crop": "autocrop.api",
    "list_models": "autocrop.api",
}


def __getattr__(name: str) -> Any:
    """Import on first use: ``autocrop --help`` needs neither numpy nor OpenCV."""
    if name not in _HOME:
        raise AttributeError(f"module 'autocrop' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
