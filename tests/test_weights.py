"""Downloads, with the real Hub client against a server on this machine."""

import dataclasses
import hashlib
import http.server
import os
import subprocess
import sys
import threading

import pytest

from autocrop import weights
from autocrop.errors import AutocropError, UsageError

CONTENT = b"a graph" * 1000
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CODE = """
import sys
from pathlib import Path
from autocrop import weights
bundled = Path(sys.argv[1])
weights._bundled_folder = lambda: bundled
for path in weights.locate("remote").values():
    print(path.read_bytes() == b"a graph" * 1000)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hub as a download of one revision needs."""

    content = CONTENT

    def do_HEAD(self):
        self.respond(body=False)

    def do_GET(self):
        self.respond(body=True)

    def respond(self, body):
        if not self.path.startswith(f"/autocrop/models/resolve/{COMMIT}/"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(self.content)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def hub():
    """A Hub on this machine; its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def remote(tmp_path):
    """A manifest with one model that is on the Hub only; runs ``weights.locate`` of it in a fresh process."""
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    file = weights.WeightsFile("remote.onnx", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    card = dataclasses.replace(
        next(iter(weights.manifest().values())),
        name="remote",
        files={"encoder": file},
        hub={"repo": "autocrop/models", "revision": COMMIT},
    )

    def locate(endpoint, sha256=file.sha256, **environment):
        row = dataclasses.replace(card, files={"encoder": dataclasses.replace(file, sha256=sha256)})
        weights.write_manifest(bundled, [row])
        environment = os.environ | {"HF_ENDPOINT": endpoint, "AUTOCROP_CACHE": str(tmp_path / "cache")} | environment
        return subprocess.run(
            [sys.executable, "-c", CODE, str(bundled)], env=environment, capture_output=True, text=True
        )

    return locate


def test_download_then_offline(hub, remote):
    """A file comes from the Hub once; afterwards it is found without a network."""
    done = remote(hub)
    assert done.stdout == "True\n", done.stderr
    done = remote("http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert done.stdout == "True\n", done.stderr


def test_offline_miss_says_what_to_run(remote):
    """The message names the command to run online."""
    done = remote("http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert "autocrop models pull remote" in done.stderr


def test_a_wrong_digest_is_refused(hub, remote):
    """What came is not what the manifest describes."""
    done = remote(hub, sha256="0" * 64)
    assert done.stdout == ""
    assert "not the file that this version of autocrop expects" in done.stderr


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
