"""Downloads, with the real Hub client against a server on this machine."""

import dataclasses
import hashlib
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from autocrop import weights
from autocrop.errors import AutocropError, UsageError

CONTENT = b"a graph" * 1000
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = b"a graph" * 1_600_000
"""More than the 10 MB that the client reads before it writes them down."""
CODE = """
import sys
from pathlib import Path
from autocrop import weights
bundled, detector = Path(sys.argv[1]), weights.face_detector()
weights._bundled_folder = lambda: bundled
weights.face_detector = lambda: detector
sys.argv = ["autocrop", "models", *sys.argv[2:]]
from autocrop.cli import main
main()
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hub as a download of one revision needs."""

    protocol_version = "HTTP/1.1"
    content = CONTENT
    breaks = 0
    """Times that the connection is cut before the end."""
    ranges: list[str | None]
    """What parts were asked for."""

    def do_HEAD(self):
        self.respond(body=False)

    def do_GET(self):
        self.respond(body=True)

    def respond(self, body):
        cls = type(self)
        if not self.path.startswith(f"/autocrop/models/resolve/{COMMIT}/"):
            self.send_error(404)
            return
        part = self.headers.get("Range") if body else None
        start = int(part.removeprefix("bytes=").partition("-")[0]) if part else 0
        self.send_response(206 if part else 200)
        self.send_header("Content-Length", str(len(self.content) - start))
        if part:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if not body:
            return
        cls.ranges.append(part)
        if cls.breaks:
            cls.breaks -= 1
            self.wfile.write(self.content[start:-100_000])
            self.close_connection = True
        else:
            self.wfile.write(self.content[start:])

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def hub():
    """A Hub on this machine, whose behavior a test may change."""

    class ThisHub(Hub):
        ranges: ClassVar = []

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ThisHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ThisHub.url = f"http://127.0.0.1:{server.server_port}"
    yield ThisHub
    server.shutdown()


@pytest.fixture
def models(tmp_path):
    """Runs ``autocrop models`` in a fresh process, with a manifest of one model that is on the Hub only."""
    bundled = tmp_path / "bundled"
    bundled.mkdir()

    def run(*arguments, endpoint="http://127.0.0.1:9", content=CONTENT, sha256=None, **environment):
        digest = sha256 or hashlib.sha256(content).hexdigest()
        row = dataclasses.replace(
            next(iter(weights.manifest().values())),
            name="remote",
            files={"encoder": weights.WeightsFile("remote.onnx", len(content), digest)},
            hub={"repo": "autocrop/models", "revision": COMMIT},
        )
        weights.write_manifest(bundled, [row])
        environment = os.environ | {"HF_ENDPOINT": endpoint, "AUTOCROP_CACHE": str(tmp_path / "cache")} | environment
        command = [sys.executable, "-c", CODE, str(bundled), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return run


def test_pull_then_offline(hub, models, tmp_path):
    """A file comes from the mirror that HF_ENDPOINT names, once; afterwards it is found without a network."""
    assert "Not on this machine yet" in models("list").stdout
    done = models("pull", "remote", endpoint=hub.url)
    assert done.returncode == 0, done.stderr
    assert (
        f"Fetching remote.onnx of remote (0 MB) from {hub.url}/autocrop/models to {tmp_path / 'cache'}" in done.stderr
    )
    done = models("pull", "remote", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    path = done.stderr.strip()
    assert Path(path).read_bytes() == CONTENT
    assert models("verify").stderr.startswith(f"ok: {path}\n")
    assert hub.ranges == [None]


def test_a_broken_download_goes_on_where_it_broke(hub, models):
    """The connection is cut near the end: only the rest is asked for."""
    hub.content, hub.breaks = LARGE, 1
    done = models("pull", "remote", endpoint=hub.url, content=LARGE)
    assert done.returncode == 0, done.stderr
    assert len(hub.ranges) == 2
    assert hub.ranges[1] is not None
    assert int(hub.ranges[1].removeprefix("bytes=").rstrip("-")) >= 10_000_000
    assert models("verify", content=LARGE).returncode == 0


def test_offline_miss_says_what_to_run(models):
    """The message names the command to run online; nothing is said to be fetched."""
    done = models("pull", "remote", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "autocrop models pull remote" in done.stderr
    assert "Fetching" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_digest_is_refused(hub, models):
    """What came is not what the manifest describes: it is deleted, so that the next attempt can succeed."""
    done = models("pull", "remote", endpoint=hub.url, sha256="0" * 64)
    assert done.returncode == 1
    assert "with another sha256 than this version of autocrop expects" in done.stderr
    assert models("pull", "remote", endpoint=hub.url).returncode == 0
    assert len(hub.ranges) == 2


def test_verify_names_what_is_damaged(hub, models):
    """A file that changed on the disk, and a model that is not there."""
    assert "To fetch it: autocrop models pull remote" in models("verify").stderr
    path = Path(models("pull", "remote", endpoint=hub.url).stderr.splitlines()[-1])
    path.write_bytes(b"damaged")
    done = models("verify")
    assert done.returncode == 1
    assert done.stderr.startswith(f"bad: {path}")


def test_unknown_models_are_named():
    """The message lists those that exist."""
    with pytest.raises(UsageError, match=r"There is no model 'none'\. Use one of: vrn"):
        weights.locate("none")


def test_a_damaged_manifest_is_named(tmp_path):
    """Missing, no JSON, and JSON of something else."""
    with pytest.raises(AutocropError, match=r"manifest\.json is missing"):
        weights.read_manifest(tmp_path)
    for number, text in enumerate(("{", '{"models": [{"name": "x"}]}')):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / weights.MANIFEST).write_text(text)
        with pytest.raises(AutocropError, match="is damaged"):
            weights.read_manifest(folder)


def test_cache_folder(monkeypatch, tmp_path):
    """AUTOCROP_CACHE decides; else it is the user's cache."""
    monkeypatch.setenv("AUTOCROP_CACHE", str(tmp_path))
    assert weights.cache_folder() == tmp_path
    monkeypatch.delenv("AUTOCROP_CACHE")
    assert "autocrop" in str(weights.cache_folder())
