"""Location of the repository's sample photos."""

from __future__ import annotations

from pathlib import Path

SAMPLES = Path(__file__).resolve().parent.parent.parent / "docs" / "samples"
