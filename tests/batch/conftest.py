"""Fixtures of the batch tests."""

from __future__ import annotations

import pytest

from tests.helpers.photos import write_pair


@pytest.fixture
def pair(tmp_path):
    """A wide photo with a person at each end, alone in a folder."""
    return write_pair(tmp_path / "pair.jpg")
