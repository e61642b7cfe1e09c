"""Templates for output names, such as ``{stem}_{label}{rank}``."""

from __future__ import annotations

import string
from pathlib import PurePosixPath

from autocrop.errors import UsageError

DEFAULT_TEMPLATE = "{stem}_{label}{rank}"
FIELDS = ("stem", "label", "rank", "folder")
"""Fields of a template: the photo's name without its extension; the target's label, such as ``4x3`` or ``crop``;
``_1``, ``_2`` and so on with --top, otherwise nothing; the name of the photo's folder."""


def check_template(template: str, *, several_targets: bool, several_ranks: bool, next_to_photos: bool) -> None:
    """Check a template given as ``--name``.

    Args:
        template: the template.
        several_targets: each photo gets crops of several targets.
        several_ranks: each target gets several crops.
        next_to_photos: the outputs are written to the photos' folders.

    Raises:
        UsageError: a field is unknown or missing, the path leads out of the output folder, or a later run could not
            distinguish the outputs from photos.
    """
    fields = _check_fields(template)
    path = PurePosixPath(template.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or template.endswith(("/", "\\")) or "stem" not in fields:
        raise UsageError(f"--name {template}: give a path inside the output folder that contains {{stem}}.")
    if several_targets and "label" not in fields:
        raise UsageError(f"--name {template}: add {{label}}. Otherwise all crops of a photo have the same name.")
    if several_ranks and "rank" not in fields:
        raise UsageError(f"--name {template}: add {{rank}}. Otherwise the crops of --top have the same name.")
    if next_to_photos and not marks_crops(template):
        raise UsageError(
            f"--name {template}: crops next to the photos would look like photos, and the next run would crop them "
            "again. Add {label} or a word, as in {stem}_small, or choose a folder with -o."
        )


def marks_crops(template: str) -> bool:
    """Return True if output names identify crops, by their label or by a word in the template."""
    return any(
        field == "label" or any(character.isalnum() for character in literal)
        for literal, field, _, _ in string.Formatter().parse(template)
    )


def _check_fields(template: str) -> set[str]:
    """Return the fields of a template."""
    available = ", ".join(f"{{{name}}}" for name in FIELDS)
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UsageError(f"--name {template}: {error}. Available fields: {available}.") from error
    fields = {field for _, field, _, _ in parts if field is not None}
    if unknown := sorted(fields - set(FIELDS)):
        raise UsageError(f"--name {template}: unknown field {{{unknown[0]}}}. Available fields: {available}.")
    if any(specifier or conversion for _, _, specifier, conversion in parts):
        raise UsageError(f"--name {template}: fields cannot have a format. Available fields: {available}.")
    return fields
