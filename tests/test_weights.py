"""Model files: the manifest, and downloads with the real Hub client from a local server."""

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
"""More than the 10 MB that the client buffers before writing."""
COMMAND = """
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
"""Program that runs ``autocrop models`` with the manifest of another folder."""


class Hub(http.server.BaseHTTPRequestHandler):
    """The parts of the Hub's API that the download of one revision needs."""

    protocol_version = "HTTP/1.1"
    content = CONTENT
    breaks = 0
    """Number of responses to cut off before the end."""
    ranges: list[str | None]
    """Range header of each request."""

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
        """Log nothing."""


@pytest.fixture
def hub():
    """A local Hub whose behavior each test can change."""

    class LocalHub(Hub):
        ranges: ClassVar = []

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), LocalHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    LocalHub.url = f"http://127.0.0.1:{server.server_port}"
    yield LocalHub
    server.shutdown()


@pytest.fixture
def models(tmp_path):
    """Function that runs ``autocrop models`` in a new process, with a manifest of one model that is only on the Hub."""
    bundled = tmp_path / "bundled"
    bundled.mkdir()

    def run(*arguments, endpoint="http://127.0.0.1:9", content=CONTENT, sha256=None, **environment):
        digest = sha256 or hashlib.sha256(content).hexdigest()
        card = dataclasses.replace(
            next(iter(weights.manifest().values())),
            name="remote",
            files={"encoder": weights.WeightsFile("remote.onnx", len(content), digest)},
            hub={"repo": "autocrop/models", "revision": COMMIT},
        )
        weights.write_manifest(bundled, [card])
        environment = os.environ | {"HF_ENDPOINT": endpoint, "AUTOCROP_CACHE": str(tmp_path / "cache")} | environment
        command = [sys.executable, "-c", COMMAND, str(bundled), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return run


def test_pull_downloads_once_for_use_offline(hub, models, tmp_path):
    """A file is downloaded once, from the mirror in HF_ENDPOINT; afterwards, no network is needed."""
    assert "Not downloaded" in models("list").stdout
    done = models("pull", "remote", endpoint=hub.url)
    assert done.returncode == 0, done.stderr
    message = f"Downloading remote.onnx of remote (0 MB) from {hub.url}/autocrop/models to {tmp_path / 'cache'}"
    assert message in done.stderr
    done = models("pull", "remote", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    path = done.stderr.strip()
    assert Path(path).read_bytes() == CONTENT
    assert models("verify").stderr.startswith(f"ok: {path}\n")
    assert hub.ranges == [None]


def test_pull_resumes_an_interrupted_download(hub, models):
    """After the connection breaks near the end, only the rest is requested."""
    hub.content, hub.breaks = LARGE, 1
    done = models("pull", "remote", endpoint=hub.url, content=LARGE)
    assert done.returncode == 0, done.stderr
    assert len(hub.ranges) == 2
    assert hub.ranges[1] is not None
    assert int(hub.ranges[1].removeprefix("bytes=").rstrip("-")) >= 10_000_000
    assert models("verify", content=LARGE).returncode == 0


def test_pull_offline_says_what_to_run(models):
    """Without a network, the error names the command to run online, and no download is announced."""
    done = models("pull", "remote", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "autocrop models pull remote" in done.stderr
    assert "Downloading" not in done.stderr
    assert "Traceback" not in done.stderr


def test_pull_deletes_a_file_with_a_wrong_digest(hub, models):
    """A download whose digest differs from the manifest's is deleted, so that the next attempt can succeed."""
    done = models("pull", "remote", endpoint=hub.url, sha256="0" * 64)
    assert done.returncode == 1
    assert "does not match the sha256 that this version of autocrop expects" in done.stderr
    assert models("pull", "remote", endpoint=hub.url).returncode == 0
    assert len(hub.ranges) == 2


def test_verify_reports_missing_and_damaged_files(hub, models):
    """A model that is not downloaded, and a file that has changed on disk, are reported."""
    assert "To download it, run: autocrop models pull remote" in models("verify").stderr
    path = Path(models("pull", "remote", endpoint=hub.url).stderr.splitlines()[-1])
    path.write_bytes(b"damaged")
    done = models("verify")
    assert done.returncode == 1
    assert done.stderr.startswith(f"bad: {path}")


def test_unknown_model_lists_the_available_ones():
    """The error for an unknown model lists the available models."""
    with pytest.raises(UsageError, match=r"Unknown model 'none'\. Available models: vrn"):
        weights.locate("none")


def test_missing_manifest_is_named(tmp_path):
    """The error for a missing manifest names the file."""
    with pytest.raises(AutocropError, match=r"manifest\.json is missing"):
        weights.read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["{", '{"models": [{"name": "x"}]}'])
def test_damaged_manifest_is_named(tmp_path, text):
    """Invalid JSON, or JSON without the fields of a card, is an error that names the file."""
    (tmp_path / weights.MANIFEST).write_text(text)
    with pytest.raises(AutocropError, match=r"manifest\.json is damaged"):
        weights.read_manifest(tmp_path)


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    """AUTOCROP_CACHE replaces the user's cache folder."""
    monkeypatch.setenv("AUTOCROP_CACHE", str(tmp_path))
    assert weights.cache_folder() == tmp_path
    monkeypatch.delenv("AUTOCROP_CACHE")
    assert "autocrop" in str(weights.cache_folder())
