"""Options of ``crop`` and ``apply``, each defined once, in the groups in which ``--help`` lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperCommand

INPUT, CROPS, OUTPUT, RUN, MODEL = "Input", "Crops", "Output", "Run", "Model"


class GroupedHelp(TyperCommand):
    """Lists options in groups. Typer needs rich for this, and importing rich takes longer than everything else."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group, in the order of the command's parameters."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                group = getattr(parameter, "rich_help_panel", None)
                group = group or ("Arguments" if parameter.param_type_name == "argument" else "Other")
                sections.setdefault(group, []).append(record)
        other = sections.pop("Other", [])
        for title, records in [*sections.items(), ("Other", other)]:
            with formatter.section(title):
                formatter.write_dl(records)


def option(*names: str, group: str, help: str, **settings: Any) -> Any:
    """Define a Typer option in a group."""
    return typer.Option(*names, rich_help_panel=group, help=help, **settings)


# Input
Recursive = Annotated[
    bool, option("--recursive", "-r", group=INPUT, help="Search subfolders, and mirror them under -o.")
]
FilesFrom = Annotated[
    Optional[Path],
    option(
        "--files-from",
        metavar="FILE",
        group=INPUT,
        help="Read more paths from FILE, one per line or NUL-separated; - reads stdin.",
    ),
]
Watch = Annotated[
    bool, option("--watch", group=INPUT, help="Watch folders and crop photos as they arrive, until Ctrl-C.")
]

# Crops
Ratios = Annotated[
    Optional[list[str]],
    option(
        "--ratio",
        "-a",
        metavar="W:H",
        group=CROPS,
        help="Crop to exactly this aspect ratio, such as 4:3 or 1.91:1. Repeatable.",
    ),
]
Sizes = Annotated[
    Optional[list[str]],
    option("--size", metavar="WxH", group=CROPS, help="Crop to this ratio, then resize to these pixels. Repeatable."),
]
Presets = Annotated[
    Optional[list[str]],
    option("--preset", metavar="NAME", group=CROPS, help="Use a named size; 'list' prints all names. Repeatable."),
]
Top = Annotated[int, option("--top", metavar="N", group=CROPS, min=1, max=50, help="Write up to N distinct crops.")]
Upscale = Annotated[
    bool, option("--upscale", group=CROPS, help="Enlarge crops that are smaller than --size or --preset.")
]
NoFaceGuard = Annotated[bool, option("--no-face-guard", group=CROPS, help="Allow crops to cut faces.")]
Keep = Annotated[
    Optional[list[str]],
    option(
        "--keep", metavar="X,Y,W,H", group=CROPS, help="Keep this region, in pixels or %, in every crop. Repeatable."
    ),
]
Fit = Annotated[
    Optional[str],
    option(
        "--fit",
        metavar="pad|blur",
        group=CROPS,
        help="Pad crops if the ratio cannot fit all people and regions.",
    ),
]
PadColor = Annotated[
    Optional[str],
    option(
        "--pad-color",
        metavar="COLOR",
        group=CROPS,
        help="Set the padding color for --fit pad: white, #20262b. Default: the mean color of the edge.",
    ),
]
Shape = Annotated[
    str,
    option(
        "--shape",
        metavar="SHAPE",
        group=CROPS,
        help="Choose the shape: rectangle, or circle with transparent corners.",
    ),
]
MinGain = Annotated[
    Optional[float],
    option(
        "--min-gain",
        metavar="X",
        group=CROPS,
        help="Leave photos uncropped unless a crop scores X higher than the whole photo.",
    ),
]

# Output
Output = Annotated[
    Optional[Path],
    option(
        "--output",
        "-o",
        metavar="PATH",
        group=OUTPUT,
        help="Write to this folder, to this file (single crop), or to stdout (-). Default: next to each photo.",
    ),
]
OutputFolder = Annotated[
    Optional[Path],
    option(
        "--output",
        "-o",
        metavar="FOLDER",
        group=OUTPUT,
        help="Write to this folder. Default: the paths in the manifest.",
    ),
]
Name = Annotated[
    Optional[str],
    option(
        "--name",
        metavar="TEMPLATE",
        group=OUTPUT,
        help="Name outputs with a template. Default: {stem}_{label}{rank}. {folder} and / also work.",
    ),
]
Format = Annotated[
    Optional[str],
    option(
        "--format",
        metavar="EXT",
        group=OUTPUT,
        help="Write jpg, png, webp, and so on. Default: the photo's own format.",
    ),
]
Overwrite = Annotated[
    bool, option("--overwrite", group=OUTPUT, help="Replace existing outputs. Inputs are never replaced.")
]
Update = Annotated[bool, option("--update", group=OUTPUT, help="Replace outputs that are older than their photo.")]
Quality = Annotated[
    Optional[int],
    option(
        "--quality",
        metavar="N",
        group=OUTPUT,
        min=1,
        max=100,
        help="Set the quality of JPEG, WebP, and AVIF. Default: a JPEG photo's own, otherwise 92 for JPEG, else 90.",
    ),
]
Strip = Annotated[
    bool, option("--strip", group=OUTPUT, help="Remove EXIF, XMP, IPTC, and comments, but keep the color profile.")
]
Lossless = Annotated[
    bool, option("--lossless", group=OUTPUT, help="Crop JPEGs along their block grid, without recompressing them.")
]
Xmp = Annotated[
    bool, option("--xmp", group=OUTPUT, help="Write a sidecar, photo.xmp, for Lightroom instead of a picture.")
]
Carry = Annotated[
    Optional[list[str]],
    option(
        "--carry",
        metavar=".EXT",
        group=OUTPUT,
        help="Copy files with this extension next to a photo, such as captions (.txt). Repeatable.",
    ),
]
ContactSheet = Annotated[
    Optional[Path],
    option("--contact-sheet", metavar="FILE", group=OUTPUT, help="Write a web page (.html) of all photos and crops."),
]

# Run
DryRun = Annotated[bool, option("--dry-run", group=RUN, help="Find crops without writing them.")]
Json = Annotated[bool, option("--json", group=RUN, help="Print one JSON object per crop on stdout.")]
Jobs = Annotated[
    Optional[int],
    option(
        "--jobs",
        "-j",
        metavar="N",
        group=RUN,
        min=1,
        help="Work on N photos at a time. Default: one per core, up to 8.",
    ),
]
MaxPixels = Annotated[
    Optional[int],
    option(
        "--max-pixels",
        group=RUN,
        min=1,
        metavar="N",
        help="Reject photos with more than N pixels. Default: 500 million.",
    ),
]
Quiet = Annotated[bool, option("--quiet", "-q", group=RUN, help="Print errors only.")]
Verbose = Annotated[bool, option("--verbose", "-v", group=RUN, help="Print a line per crop, scores, and timing.")]
Debug = Annotated[bool, option("--debug", group=RUN, help="Print tracebacks of errors.")]

# Model
Model = Annotated[
    Optional[str],
    option("--model", metavar="NAME", group=MODEL, help="Use this model; see autocrop models list."),
]
Weights = Annotated[
    Optional[Path],
    option("--weights", metavar="PATH", group=MODEL, help="Use an exported folder or a checkpoint instead of a model."),
]
Device = Annotated[str, option("--device", metavar="NAME", group=MODEL, help="Choose the device: auto, cpu, or cuda.")]
Engine = Annotated[
    str, option("--engine", metavar="NAME", group=MODEL, help="Choose the engine: auto, opencv, or torch.")
]
