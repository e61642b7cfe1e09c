"""The command in a fresh process, without a network."""

from __future__ import annotations

import os
import subprocess
import sys


def autocrop(*arguments, cwd, **environment):
    """Run the command in *cwd*; returns the finished process."""
    command = [sys.executable, "-m", "autocrop", *map(str, arguments)]
    # No network: a proxy that nobody listens on.
    offline = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, encoding="utf-8", env=os.environ | offline | environment
    )
