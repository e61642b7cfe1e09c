"""Reading files written by ``torch.save``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch


def load_tensors(path: Path) -> Any:
    """Read tensors and plain Python values from a file to the CPU, without executing code from it.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file cannot be read. The message is the first sentence of torch's, which goes on to recommend
            options that would execute code.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # DETR's checkpoints contain their arguments
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(str(error).partition("\n")[0].partition(". ")[0]) from error
