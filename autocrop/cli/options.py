"""Options, each described once, in the groups under which ``--help`` lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from typer.core import TyperCommand

INPUT, SHAPE, OUTPUT, RUN, MODEL = "Which photos", "Which crops", "Where they go and how", "The run", "The model"


class GroupedHelp(TyperCommand):
    """Lists options in groups. Typer can do that only with rich, whose import takes longer than all the rest."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group, in the order in which the command has them."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                group = getattr(parameter, "rich_help_panel", None)
                group = group or ("Arguments" if parameter.param_type_name == "argument" else "Others")
                sections.setdefault(group, []).append(record)
        others = sections.pop("Others", [])
        for title, records in [*sections.items(), ("Others", others)]:
            with formatter.section(title):
                formatter.write_dl(records)


def option(*names: str, group: str, help: str, **settings: Any) -> Any:
    """A Typer option in a group."""
    return typer.Option(*names, rich_help_panel=group, help=help, **settings)


# Which photos
Recursive = Annotated[
    bool, option("--recursive", "-r", group=INPUT, help="Folders with all that is below them, mirrored under -o.")
]
FilesFrom = Annotated[
    Optional[Path],
    option("--files-from", metavar="FILE", group=INPUT, help="More photos: one path a line, or NUL. - is stdin."),
]
Watch = Annotated[
    bool, option("--watch", group=INPUT, help="Go on watching the folders; crop photos as they come, until Ctrl-C.")
]

# Which crops
Ratios = Annotated[
    Optional[list[str]],
    option(
        "--ratio", "-a", metavar="W:H", group=SHAPE, help="Aspect ratio, exact to the pixel: 4:3, 1.91:1. Repeatable."
    ),
]
Sizes = Annotated[
    Optional[list[str]],
    option("--size", metavar="WxH", group=SHAPE, help="Crop at this ratio, then resize to these pixels. Repeatable."),
]
Presets = Annotated[
    Optional[list[str]],
    option("--preset", metavar="NAME", group=SHAPE, help="A size by its name; 'list' shows all. Repeatable."),
]
Top = Annotated[int, option("--top", group=SHAPE, min=1, max=50, help="Up to this many clearly different crops.")]
Upscale = Annotated[bool, option("--upscale", group=SHAPE, help="Let a size enlarge a smaller crop.")]
NoFaceGuard = Annotated[bool, option("--no-face-guard", group=SHAPE, help="Do not look for faces; they may be cut.")]
Keep = Annotated[
    Optional[list[str]],
    option("--keep", metavar="X,Y,W,H", group=SHAPE, help="A region that must stay in; in pixels, or %. Repeatable."),
]
Fit = Annotated[
    Optional[str],
    option("--fit", metavar="pad|blur", group=SHAPE, help="Enlarge the canvas where no crop of a ratio shows all."),
]
PadColor = Annotated[
    Optional[str], option("--pad-color", group=SHAPE, help="Of --fit pad: white, #20262b. Default: the edge's mean.")
]
Shape = Annotated[str, option("--shape", group=SHAPE, help="rectangle, or circle: an avatar with transparent corners.")]
MinGain = Annotated[
    Optional[float],
    option("--min-gain", metavar="X", group=SHAPE, help="Keep photos whose crop does not score X above the whole."),
]

# Where they go and how
Output = Annotated[
    Optional[Path],
    option("--output", "-o", group=OUTPUT, help="Folder, or file for a single crop, or - for stdout. Default: beside."),
]
OutputFolder = Annotated[
    Optional[Path], option("--output", "-o", group=OUTPUT, help="Folder. Default: where the manifest says.")
]
Name = Annotated[
    Optional[str],
    option("--name", metavar="TEMPLATE", group=OUTPUT, help="Default {stem}_{label}{rank}; also {folder}, and /."),
]
Format = Annotated[
    Optional[str], option("--format", metavar="EXT", group=OUTPUT, help="jpg, png, webp, ... Default: each photo's.")
]
Overwrite = Annotated[bool, option("--overwrite", group=OUTPUT, help="Replace outputs that exist (never an input).")]
Update = Annotated[bool, option("--update", group=OUTPUT, help="Replace outputs that are older than their photo.")]
Quality = Annotated[
    Optional[int],
    option("--quality", group=OUTPUT, min=1, max=100, help="For JPEG, WebP and AVIF. Default: a JPEG's own, else 90."),
]
Strip = Annotated[
    bool, option("--strip", group=OUTPUT, help="Leave out EXIF, XMP, IPTC and comments; colors stay true.")
]
Lossless = Annotated[
    bool, option("--lossless", group=OUTPUT, help="Cut JPEGs on their grid of blocks, without recompressing.")
]
Xmp = Annotated[
    bool, option("--xmp", group=OUTPUT, help="Write the crop to a sidecar photo.xmp for Lightroom, and no picture.")
]
Carry = Annotated[
    Optional[list[str]],
    option("--carry", metavar=".EXT", group=OUTPUT, help="Copy such files beside a photo, too: .txt. Repeatable."),
]
ContactSheet = Annotated[
    Optional[Path],
    option("--contact-sheet", metavar="HTML", group=OUTPUT, help="A web page of all photos with their crops."),
]

# The run
DryRun = Annotated[bool, option("--dry-run", group=RUN, help="Find the crops, write nothing.")]
Json = Annotated[bool, option("--json", group=RUN, help="Print one JSON object a crop on stdout.")]
Jobs = Annotated[
    Optional[int], option("--jobs", "-j", group=RUN, min=1, help="Photos at a time. Default: one a core, at most 8.")
]
Quiet = Annotated[bool, option("--quiet", "-q", group=RUN, help="Print errors only.")]
Verbose = Annotated[bool, option("--verbose", "-v", group=RUN, help="A line for every crop; scores and timing too.")]
Debug = Annotated[bool, option("--debug", group=RUN, help="Print a traceback when something goes wrong.")]

MaxPixels = Annotated[
    Optional[int],
    option("--max-pixels", group=RUN, min=1, metavar="N", help="Refuse photos with more. Default: 500 million."),
]

# The model
Model = Annotated[Optional[str], option("--model", group=MODEL, help="Model to use; autocrop models list shows them.")]
Weights = Annotated[
    Optional[Path],
    option("--weights", group=MODEL, help="An exported folder or a checkpoint instead of the model's own files."),
]
Device = Annotated[str, option("--device", group=MODEL, help="auto, cpu or cuda.")]
Engine = Annotated[str, option("--engine", group=MODEL, help="auto, opencv or torch.")]
