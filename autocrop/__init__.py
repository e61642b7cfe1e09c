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

_MODULES = {
    "AutocropError": "autocrop.errors",
    "Crop": "autocrop.search.crop",
    "Cropper": "autocrop.api",
    "crop": "autocrop.api",
    "list_models": "autocrop.api",
}
"""Module that defines each public name."""


def __getattr__(name: str) -> Any:
    """Import a public name on first use, because ``autocrop --help`` needs neither numpy nor OpenCV."""
    if name not in _MODULES:
        raise AttributeError(f"module 'autocrop' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
