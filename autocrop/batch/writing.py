"""Write the outputs of a batch: pictures, lossless crops, sidecars, and copies of the photos' companions."""

from __future__ import annotations

from pathlib import Path

from autocrop.batch.inputs import Inputs
from autocrop.batch.options import SIDECAR_EXTENSION, Options
from autocrop.errors import PhotoError
from autocrop.images import Photo, write_atomically
from autocrop.search.crop import Crop

CLOCK_TOLERANCE = 2.0
"""Tolerance in seconds for comparing file times, which FAT rounds to two seconds."""


class Writer:
    """Writes outputs. Inputs are never overwritten, and other files only if the options allow it.

    Args:
        options: options of the batch.
        inputs: photos of the batch.
    """

    def __init__(self, options: Options, inputs: Inputs) -> None:
        self.options = options
        self._inputs = inputs

    def reason_to_skip(self, file: Path, photo: Path) -> str:
        """Return why an output of a photo must not be written, or an empty string."""
        if file in self._inputs:
            return "inputs are never overwritten"
        if self.options.overwrite:
            return ""
        try:
            age = photo.stat().st_mtime - file.stat().st_mtime
        except OSError:
            return _exists(file) if file.exists() else ""
        if age <= CLOCK_TOLERANCE:
            return _exists(file)
        return "" if self.options.update else "already exists, but is older than its photo; use --update to replace it"

    def write(self, photo: Photo, crop: Crop, size: tuple[int, int], file: Path) -> list[str]:
        """Write one crop, or the sidecar that describes it.

        Args:
            photo: the photo.
            crop: a crop of it.
            size: (width, height) in pixels to resize the crop to.
            file: output file. The extension ``.xmp`` writes a sidecar.

        Returns:
            Notes on what could not be kept.

        Raises:
            PhotoError: the file cannot be written.
        """
        sidecar, options = is_sidecar(file), self.options
        if (options.lossless or sidecar) and (crop.padding or crop.shape != "rectangle"):
            kind = "A sidecar" if sidecar else "--lossless"
            raise PhotoError(f"{kind} cannot pad or shape the crop of {photo.name}. Write a new picture instead.")
        if sidecar:
            self._write_sidecar(photo, crop, file)
            return []
        photo.check_size(size, file)
        if not options.lossless:
            return photo.save(crop.render(photo, size), file, options.quality, options.strip)
        if size != (crop.width, crop.height):
            raise PhotoError(f"{photo.name} cannot be resized without loss. Leave out --lossless or the size.")
        return photo.save_lossless(crop.box, file, options.strip)

    def copy_companions(self, photo: Path, output: Path) -> list[str]:
        """Copy the files of ``--carry`` next to a photo, such as captions, to the name of its crop.

        Call this before writing the crop, so that an interrupted run leaves no crop without its companions.

        Returns:
            Notes on missing companions.
        """
        notes = []
        for extension in self.options.companion_extensions:
            pairs = [  # photo.txt, or photo.jpg.txt as some programs write it
                (photo.with_suffix(extension), output.with_suffix(extension)),
                (photo.with_name(photo.name + extension), output.with_name(output.name + extension)),
            ]
            existing = [(companion, copy) for companion, copy in pairs if companion.is_file()]
            for companion, copy in existing:
                self._copy(companion, copy)
            if not existing:
                notes.append(f"no {extension} file next to the photo")
        return notes

    def _write_sidecar(self, photo: Photo, crop: Crop, file: Path) -> None:
        if file.stem != Path(photo.name).stem:
            raise PhotoError(
                f"{photo.name} would share its sidecar with another photo. Move one of them to another folder."
            )
        existing = file.read_bytes() if file.exists() else None
        write_atomically(file, photo.sidecar(crop.box, existing))

    def _copy(self, companion: Path, copy: Path) -> None:
        if self._inputs.has_companion(copy) or self.reason_to_skip(copy, companion):
            return
        try:
            content = companion.read_bytes()
        except OSError as error:
            raise PhotoError(f"Cannot read {companion} ({error.strerror}).") from error
        write_atomically(copy, content, like=companion)


def is_sidecar(file: Path) -> bool:
    """Return True for an output that describes a crop instead of holding it."""
    return file.suffix.lower() == SIDECAR_EXTENSION


def _exists(file: Path) -> str:
    if is_sidecar(file):
        return "already exists; --overwrite replaces its crop and keeps the rest"
    return "already exists; use --overwrite to replace it"
