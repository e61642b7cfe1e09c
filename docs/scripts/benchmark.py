"""Measure autocrop: start-up, one large photo compared with other tools, a batch compared with Pillow, and the search.

python docs/scripts/benchmark.py [--photos 24] [--rounds 5] [--jobs 2] [--others FOLDER]

Other tools are measured if they are installed. vipsthumbnail comes from Debian's libvips-tools. Install the rest into
one folder, each in its own environment, because PyPI's autocrop has the same import name as this one:

    python3 -m venv others/smartcrop && others/smartcrop/bin/pip install smartcrop
    python3 -m venv others/faces && others/faces/bin/pip install autocrop
    npm install --prefix others smartcrop-cli
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
RATIOS = ("1:1", "4:5", "16:9")
PILLOW = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from PIL import Image
photos, out, jobs = sorted(Path(sys.argv[1]).iterdir()), Path(sys.argv[2]), int(sys.argv[3])
out.mkdir(exist_ok=True)
boxes = ((500, 0, 3500, 3000), (800, 0, 3200, 3000), (0, 375, 4000, 2625))
def work(path):
    with Image.open(path) as image:
        image.load()
        for number, box in enumerate(boxes):
            image.crop(box).save(out / f"{path.stem}_{number}.jpg", qtables=image.quantization, subsampling="4:2:0")
with ThreadPoolExecutor(jobs) as pool:
    list(pool.map(work, photos))
"""
"""Decodes each photo once, encodes three crops of the sizes that autocrop finds, and does nothing else."""


class Run(NamedTuple):
    """Cost of one process."""

    wall: float
    """Seconds on the clock."""
    cpu: float
    """Seconds of all cores."""
    memory: float
    """Peak, in MB."""


def run(command, folder):
    """Run a command once and measure it.

    Raises:
        SystemExit: the command failed.
    """
    # Other tools must not find our modules: PyPI's autocrop has the same name.
    is_ours = command[0] == sys.executable
    environment = {name: value for name, value in os.environ.items() if is_ours or name != "PYTHONPATH"}
    started = time.perf_counter()
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=messages)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            messages.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} failed: {messages.read().decode()[-500:]}")
    return Run(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def alternate(commands, folder, rounds):
    """Run the commands in turn, so that other load on the machine affects all of them. Returns the runs by name."""
    runs = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(run(command, folder))
    return runs


def report(title, runs, base):
    """Print a table. Multiples are medians over the rounds, each compared with *base* in the same round."""
    print(f"\n{title}\n")
    print(f"| | × {base} | CPU × | time (min to max) | CPU time | peak memory |\n|---|---|---|---|---|---|")
    for name, rows in runs.items():
        wall, cpu = (
            statistics.median(getattr(a, key) / getattr(b, key) for a, b in zip(rows, runs[base], strict=True))
            for key in ("wall", "cpu")
        )
        times = sorted(row.wall for row in rows)
        spread = f"{statistics.median(times):.2f} s ({times[0]:.2f} to {times[-1]:.2f})"
        cpu_time = statistics.median(row.cpu for row in rows)
        memory = max(row.memory for row in rows)
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {spread} | {cpu_time:.2f} s | {memory:.0f} MB |")


def make_photos(folder, count):
    """Write JPEGs of 12 megapixels and about 3.5 MB with a camera's grain, each from another part of a sample."""
    import numpy as np
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    names = ("astronaut", "coffee", "chelsea", "rocket")
    grain = np.random.default_rng(0).normal(0, 4, (3000, 4000, 1)).astype(np.int16)
    for number in range(count):
        with Image.open(SAMPLES / f"{names[number % len(names)]}.jpg") as image:
            width, height = image.size
            share = 0.8 + 0.2 * (number * 37 % 100) / 100
            w = share * min(width, height * 4 / 3)
            h = w * 3 / 4
            left, top = (width - w) * (number % 5) / 4, (height - h) * (number % 3) / 2
            box = (left, top, left + w, top + h)
            large = image.convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC, box)
        noisy = np.asarray(large).astype(np.int16) + np.roll(grain, 17 * number, 0)
        Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / f"{number:04d}.jpg", quality=95)


def other_tools(folder):
    """Commands of the tools that are installed, by name; each crops one photo to a square."""
    commands = {}
    if vips := shutil.which("vipsthumbnail"):
        options = ["--size", "3000x3000", "--smartcrop", "attention", "-o", "vips.jpg"]
        commands["vipsthumbnail --smartcrop attention"] = [vips, "large.jpg", *options]
    square = ["--width", "3000", "--height", "3000", "large.jpg"]
    python = folder / "smartcrop" / "bin" / "smartcroppy"
    node = folder / "node_modules" / ".bin" / "smartcrop"
    faces = folder / "faces" / "bin" / "autocrop"
    if python.exists():
        commands["smartcroppy (PyPI smartcrop)"] = [python, *square, "smartcroppy.jpg"]
    if node.exists():
        commands["smartcrop-cli (npm)"] = [node, *square, "node.jpg"]
    if faces.exists():
        commands["autocrop (PyPI, faces)"] = [faces, "large.jpg", "-o", "faces.jpg", "--no-resize"]
    return commands


def time_search():
    """Print the time of encoding and search, without files and faces."""
    import numpy as np
    from PIL import Image

    import autocrop

    cropper = autocrop.Cropper(device="cpu", faces=False)
    with Image.open(SAMPLES / "coffee.jpg") as image:
        pixels = np.asarray(image.convert("RGB"))
    for title, ratio in (("any shape", None), ("4:3", (4, 3))):
        times = []
        for _ in range(30):
            started = time.perf_counter()
            cropper.find(pixels, ratio)
            times.append(time.perf_counter() - started)
        print(f"- encode, candidates, refinement, {title}: {1000 * statistics.median(times):.0f} ms, median of 30")


def main():
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--others", type=Path, default=Path("others"))
    parser.add_argument("--make-photos", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make_photos:
        make_photos(options.make_photos, options.photos)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a separate process: memory of this one would count as memory of every process that it starts.
        maker = [sys.executable, Path(__file__).resolve(), "--make-photos", folder / "in"]
        subprocess.run([*maker, "--photos", str(options.photos)], check=True)
        large = sorted((folder / "in").iterdir())[:5][-1]  # PyPI's autocrop finds the face in this one
        shutil.copy(large, folder / "large.jpg")
        report_start_up(folder, options)
        report_one_photo(folder, options)
        report_batch(folder, options)
    print("\nThe search alone, on the CPU:\n")
    time_search()


def report_start_up(folder, options):
    """Measure ``autocrop --help`` against the imports that it cannot avoid."""
    libraries = "python -c 'import typer, rich'"
    commands = {libraries: [sys.executable, "-c", "import typer, rich"]}
    commands["autocrop --help"] = [sys.executable, "-m", "autocrop", "--help"]
    report("Start-up, whole process", alternate(commands, folder, options.rounds), libraries)


def report_one_photo(folder, options):
    """Measure one large photo, with autocrop and the other tools."""
    base = "autocrop --ratio 1:1"
    crop = [sys.executable, "-m", "autocrop", "crop", "large.jpg", "--ratio", "1:1", "-o", "o.jpg", "--overwrite"]
    commands = {base: crop} | other_tools(options.others.resolve())
    report("One 12-megapixel JPEG to a square, whole process", alternate(commands, folder, options.rounds), base)


def report_batch(folder, options):
    """Measure a folder of photos, with Pillow and with autocrop."""
    base = "Pillow: decode once, encode three crops"
    jobs = str(options.jobs)
    ratios = [part for ratio in RATIOS for part in ("--ratio", ratio)]
    crop = [sys.executable, "-m", "autocrop", "crop", "in", *ratios, "-o", "out", "--overwrite", "--jobs", jobs]
    commands = {base: [sys.executable, "-c", PILLOW, "in", "pillow", jobs], "autocrop, three ratios": crop}
    commands["autocrop, three ratios, --no-face-guard"] = [*crop, "--no-face-guard"]
    title = f"{options.photos} JPEGs of 12 megapixels, three ratios each, {jobs} at a time"
    report(title, alternate(commands, folder, max(1, options.rounds // 2)), base)


if __name__ == "__main__":
    main()
