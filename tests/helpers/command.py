"""The command in a fresh process, without a network."""

from __future__ import annotations

import os
import subprocess
import sys

OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "PYTHONIOENCODING": "utf-8"}
"""Environment with a proxy that does not exist."""


def autocrop(*arguments, cwd, **environment):
    """Run the command in *cwd* and return the finished process, with its output as text."""
    return subprocess.run(
        _command(arguments),
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | OFFLINE | environment,
    )


def pipe(*arguments, cwd, content):
    """Run the command in *cwd* with bytes on stdin, and return the finished process, with its output as bytes."""
    return subprocess.run(_command(arguments), cwd=cwd, input=content, capture_output=True, env=os.environ | OFFLINE)


def start(*arguments, cwd):
    """Start the command in *cwd* and return the running process."""
    return subprocess.Popen(
        _command(arguments),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | OFFLINE,
    )


def _command(arguments):
    return [sys.executable, "-m", "autocrop", *map(str, arguments)]
