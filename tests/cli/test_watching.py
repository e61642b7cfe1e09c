import os
import signal
import time

import pytest

from tests.helpers.batch import names_in
from tests.helpers.command import start


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
def test_arriving_photos_are_cropped(photo, tmp_path):
    """A photo that arrives in two pieces is cropped once it is complete; Ctrl-C ends with a summary and exit code 0.

    A photo that failed because it was incomplete for too long does not count as failed once it is complete.
    """
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "slow.jpg").write_bytes(photo.read_bytes()[:9000])
    process = start(inbox, "--watch", "-o", tmp_path / "out", "--ratio", "1:1", cwd=tmp_path)
    assert "Watching" in process.stderr.readline()
    assert process.stderr.readline().startswith("failed: ")
    data = photo.read_bytes()
    (inbox / "slow.jpg").write_bytes(data)
    assert "slow_1x1.jpg" in process.stderr.readline()
    with (inbox / "new.jpg").open("wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        time.sleep(0.5)
        file.write(data[len(data) // 2 :])
    line = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=30)
    assert "new_1x1.jpg" in line
    assert process.returncode == 0, messages
    assert "2 cropped: 2 photos" in messages
    assert names_in(tmp_path / "out") == ["new_1x1.jpg", "slow_1x1.jpg"]
