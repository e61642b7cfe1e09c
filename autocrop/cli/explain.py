"""``autocrop explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from autocrop.cli.console import Debug, Quiet, note
from autocrop.errors import UsageError


def explain(
    photo: Annotated[Path, typer.Argument(help="The photo.", show_default=False)],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="PNG to write. Default: photo_explained.png beside it.")
    ] = None,
    ratio: Annotated[
        Optional[str], typer.Option("--ratio", "-a", metavar="W:H", help="As for crop; by default any shape.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=8, help="Crops to show: the chosen one and runners-up.")] = 4,
    no_face_guard: Annotated[bool, typer.Option("--no-face-guard", help="As for crop.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    model: Annotated[Optional[str], typer.Option(help="Model to use; autocrop models list shows them.")] = None,
    weights: Annotated[
        Optional[Path], typer.Option(help="An exported folder or a checkpoint instead of the model's own files.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    engine: Annotated[str, typer.Option(help="auto, opencv or torch.")] = "auto",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show why: a picture of the chosen crop, the runners-up with their scores, and what the model looks at."""
    import io

    from autocrop import explain as explaining
    from autocrop.engines import load_model
    from autocrop.geometry.ratio import parse_ratio
    from autocrop.images import open_photo, write_atomically
    from autocrop.search.analysis import analyze
    from autocrop.search.request import CropRequest
    from autocrop.search.two_stage import find_crops

    path = output or photo.with_name(f"{photo.stem}_explained.png")
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path}: the explanation is a PNG. Choose a name that ends in .png.")
    if path.exists() and path.samefile(photo):
        raise UsageError(f"{path} is the photo itself. Choose another name with -o.")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists. Choose another name with -o, or replace it with --overwrite.")
    wanted = parse_ratio(ratio) if ratio is not None else None
    loaded = load_model(model, device, weights, engine)
    analysis = analyze(loaded, open_photo(photo), faces=not no_face_guard)
    crops = find_crops(loaded, analysis, CropRequest(wanted, top))
    picture = explaining.explain(analysis.preview, crops, explaining.heat_maps(loaded, analysis.features))
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    write_atomically(path, encoded.getvalue())
    if not quiet:
        best = crops[0]
        note(f"{photo} → {path}: by {loaded.model} the crop scores {best.score:.3f}, the photo {best.score_full:.3f}")
        if best.score < max(best.score_full, *(crop.score for crop in crops)):
            note("The crop is what the best candidates have in common; by itself another view may score more.")
