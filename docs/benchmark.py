"""Measure start-up, one large photo as a whole process, and the model part.

python docs/benchmark.py            (vipsthumbnail, from Debian's libvips-tools, is measured beside it if installed)
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 7
SAMPLE = Path(__file__).parent / "samples" / "coffee.jpg"


def run(command, folder):
    """Run once; returns seconds and peak memory in MB."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def alternate(commands, folder):
    """Run the commands in turn; returns for each the median seconds and the largest peak memory."""
    rounds = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            rounds[name].append(run(command, folder))
    return {name: (statistics.median(s for s, _ in r), max(m for _, m in r)) for name, r in rounds.items()}


def report(title, results, base):
    """Print times, memory, and times as multiples of *base*."""
    print(f"\n{title}")
    for name, (seconds, memory) in results.items():
        print(f"  {name:34} {seconds:6.3f} s  {memory:5.0f} MB  {seconds / results[base][0]:5.2f} × {base}")


def make_large(path):
    """Write a 12-megapixel JPEG with the grain of a camera's."""
    import numpy as np
    from PIL import Image

    large = Image.open(SAMPLE).convert("RGB").resize((4000, 3000), Image.Resampling.LANCZOS)
    noise = np.random.default_rng(0).normal(0, 6, (3000, 4000, 1))
    noisy = np.clip(np.asarray(large) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path, quality=92)


def model_part():
    """Time the search without files."""
    import numpy as np
    from PIL import Image

    from autocrop.engines import load_model
    from autocrop.search import find_crops

    engine = load_model(None, "cpu")
    image = np.asarray(Image.open(SAMPLE).convert("RGB"))
    for title, ratio in (("free", None), ("4:3", (4, 3))):
        times = []
        for _ in range(30):
            started = time.perf_counter()
            find_crops(engine, engine.encode(image), (600, 400), ratio)
            times.append(time.perf_counter() - started)
        print(f"  encode, candidates, refinement, {title:6} {1000 * statistics.median(times):6.1f} ms median of 30")


def main():
    """Print all tables."""
    python, autocrop = sys.executable, [sys.executable, "-m", "autocrop"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        libraries = "python -c 'import typer, rich'"
        commands = {libraries: [python, "-c", "import typer, rich"], "autocrop --help": [*autocrop, "--help"]}
        report("Start-up, whole process", alternate(commands, folder), libraries)
        # In a process of its own: what this one holds would count as memory of every process that it starts.
        maker = multiprocessing.get_context("spawn").Process(target=make_large, args=(folder / "large.jpg",))
        maker.start()
        maker.join()
        commands = {"autocrop --ratio 1:1": [*autocrop, "large.jpg", "--ratio", "1:1", "-o", "out.jpg", "--overwrite"]}
        commands["autocrop --size 1000x1000"] = [
            *autocrop,
            "large.jpg",
            "--size",
            "1000x1000",
            "-o",
            "s.jpg",
            "--overwrite",
        ]
        base = next(iter(commands))
        if vips := shutil.which("vipsthumbnail"):
            base = "vipsthumbnail --smartcrop"
            options = ["--size", "3000x3000", "--smartcrop", "attention", "-o", "vips.jpg"]
            commands = {base: [vips, "large.jpg", *options], **commands}
        report("One 12-megapixel JPEG, whole process", alternate(commands, folder), base)
    print("\nModel part alone, CPU")
    model_part()


if __name__ == "__main__":
    main()
