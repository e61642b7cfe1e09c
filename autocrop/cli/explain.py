"""The command ``autocrop explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from autocrop.cli.console import Debug, Quiet, note


def explain(
    photo: Annotated[Path, typer.Argument(help="Explain the crop of this photo.", show_default=False)],
    output: Annotated[
        Optional[Path],
        typer.Option("--output", "-o", help="Write this PNG file. Default: photo_explained.png next to the photo."),
    ] = None,
    ratio: Annotated[
        Optional[str],
        typer.Option("--ratio", "-a", metavar="W:H", help="Crop to this aspect ratio. Default: the model chooses."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=8, help="Show this many crops: the best one and runners-up.")] = 4,
    no_face_guard: Annotated[
        bool, typer.Option("--no-face-guard", help="Skip face detection; crops may cut faces.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output file if it exists.")] = False,
    model: Annotated[Optional[str], typer.Option(help="Use this model; see autocrop models list.")] = None,
    weights: Annotated[
        Optional[Path], typer.Option(help="Use an exported folder or a checkpoint instead of a model.")
    ] = None,
    device: Annotated[str, typer.Option(help="Choose the device: auto, cpu, or cuda.")] = "auto",
    engine: Annotated[str, typer.Option(help="Choose the engine: auto, opencv, or torch.")] = "auto",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw the best crop, the runners-up with their scores, and what the model looks at."""
    from autocrop.engines import load_model
    from autocrop.explain import check_output, explain_photo
    from autocrop.geometry.ratio import parse_ratio
    from autocrop.images import open_photo
    from autocrop.search.request import CropRequest

    path = output or photo.with_name(f"{photo.stem}_explained.png")
    check_output(path, photo, overwrite)
    request = CropRequest(parse_ratio(ratio) if ratio is not None else None, top)
    loaded = load_model(model, device, weights, engine)
    explanation = explain_photo(loaded, open_photo(photo), request, faces=not no_face_guard)
    explanation.save(path)
    if not quiet:
        best = explanation.crops[0]
        note(f"{photo} → {path}: {loaded.model} scores the crop {best.score:.3f} and the photo {best.score_full:.3f}")
        if best.score < max(best.score_full, *(crop.score for crop in explanation.crops)):
            note("The crop is a consensus of the best candidates. Another view may have a higher score by itself.")
