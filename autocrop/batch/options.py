"""Options of a batch, and the checks for invalid or conflicting options.

Conflicts that concern only the command are checked where they occur: watching in ``cli/watching.py``, stdin and stdout
in ``cli/streams.py``, and an output file for several photos in ``plan.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autocrop.batch.targets import Target
from autocrop.batch.template import DEFAULT_TEMPLATE, check_template
from autocrop.errors import PhotoError, UsageError
from autocrop.geometry.composition import CROP_SHAPES
from autocrop.images import MAX_PIXELS, format_of, is_picture_name
from autocrop.images.formats import ALPHA_FORMATS
from autocrop.images.padding import AUTO, Fit
from autocrop.search.subjects import Region

SIDECAR_EXTENSION = ".xmp"
SIDECAR_TEMPLATE = "{stem}"
"""Lightroom expects the sidecar of photo.jpg at photo.xmp."""


@dataclass(frozen=True)
class Options:
    """Options of a batch, as ``autocrop crop`` takes them.

    Raises:
        UsageError: an option is invalid or conflicts with another one.
    """

    targets: Sequence[Target] = (Target("crop"),)
    """Kinds of crops to make of each photo."""
    top: int = 1
    """Largest number of distinct crops per target."""
    output: Path | None = None
    """A folder, or a file for a single crop. None writes next to each photo."""
    name: str | None = None
    """Template of the output names, see :mod:`autocrop.batch.template`; None for the default."""
    format: str | None = None
    """Extension of all outputs, ``webp`` or ``.webp``; None keeps each photo's own."""
    overwrite: bool = False
    """Replace existing outputs."""
    update: bool = False
    """Replace outputs that are older than their photo."""
    dry_run: bool = False
    """Find crops without writing them."""
    upscale: bool = False
    """Enlarge crops that are smaller than their target's size."""
    quality: int | None = None
    """1 to 100, for JPEG, WebP and AVIF; None keeps a JPEG's own."""
    strip: bool = False
    """Leave out EXIF, XMP, IPTC and comments."""
    lossless: bool = False
    """Cut JPEGs without recompressing them."""
    xmp: bool = False
    """Write an XMP sidecar for Lightroom instead of a picture."""
    carry: Sequence[str] = ()
    """Extensions, ``txt`` or ``.txt``, of files next to a photo to copy along with its crops."""
    max_pixels: int = MAX_PIXELS
    """Largest number of pixels in a photo or crop."""
    faces: bool = True
    """Detect faces and avoid cutting them."""
    keep: Sequence[Region] = ()
    """Regions that every crop must contain."""
    fit: str | None = None
    """How to pad if no crop of a ratio shows all people and regions: ``pad`` or ``blur``; None never pads."""
    pad_color: str | None = None
    """Padding color for ``fit="pad"``; None for the mean color of the edge."""
    shape: str = "rectangle"
    """``rectangle`` or ``circle``."""
    min_gain: float | None = None
    """Leave a photo uncropped unless its best crop scores this much higher than the whole photo."""
    thumbnails: bool = False
    """Attach a thumbnail of the photo to its first result."""

    def __post_init__(self) -> None:
        self._check_ranges()
        self._check_targets()
        self._check_lossless()
        self._check_xmp()
        self._check_fit()
        self._check_output()
        self._check_circle()
        check_template(
            self.template,
            several_targets=len(self.targets) > 1,
            several_ranks=self.top > 1,
            next_to_photos=self.output is None and not self.dry_run and not self.xmp,
        )

    @property
    def template(self) -> str:
        """Template of the output names."""
        return SIDECAR_TEMPLATE if self.xmp else self.name or DEFAULT_TEMPLATE

    @property
    def extension(self) -> str | None:
        """Extension of all outputs, with its dot; None if each photo has its own."""
        if self.xmp:
            return SIDECAR_EXTENSION
        return _with_dot(self.format.lower()) if self.format else None

    @property
    def companion_extensions(self) -> list[str]:
        """Extensions of ``carry``, with their dots."""
        return [_with_dot(extension) for extension in self.carry]

    @property
    def fit_options(self) -> Fit | None:
        """``fit`` and ``pad_color`` combined; None if crops are never padded."""
        return Fit(self.fit, self.pad_color or AUTO) if self.fit is not None else None

    @property
    def output_file(self) -> Path | None:
        """The output if it is a file; None if it is a folder, or if outputs go next to the photos."""
        if self.output is None or self.output.is_dir() or not is_picture_name(self.output):
            return None
        return self.output

    def check_pixels(self, size: tuple[int, int]) -> None:
        """Check that a crop of *size* (width, height) does not need too much memory.

        Raises:
            UsageError: it has more than ``max_pixels`` pixels.
        """
        pixels = size[0] * size[1]
        if pixels > self.max_pixels:
            raise UsageError(
                f"{size[0]}x{size[1]} has {pixels} pixels, but --max-pixels allows {self.max_pixels}. "
                "Choose a smaller size, or raise --max-pixels if there is enough memory."
            )

    def _check_ranges(self) -> None:
        if self.top < 1:
            raise UsageError(f"--top must be at least 1, not {self.top}.")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"--quality must be between 1 and 100, not {self.quality}.")
        if self.shape not in CROP_SHAPES:
            raise UsageError(f"Unknown --shape '{self.shape}'. Available shapes: {', '.join(CROP_SHAPES)}.")

    def _check_targets(self) -> None:
        labels = [target.label for target in self.targets]
        if len(set(labels)) < len(labels):
            raise UsageError(
                "A ratio or size is given twice, so outputs would have the same name. Give each only once."
            )
        for target in self.targets:
            if target.size is not None:
                self.check_pixels(target.size)

    def _check_fit(self) -> None:
        if self.pad_color is not None and self.fit != "pad":
            raise UsageError("--pad-color needs --fit pad.")
        if self.fit_options is not None and all(target.ratio is None for target in self.targets):
            raise UsageError("--fit needs a --ratio, --size or --preset.")

    def _check_lossless(self) -> None:
        if not self.lossless:
            return
        if self.quality is not None or any(target.size is not None for target in self.targets):
            raise UsageError("--lossless cannot resize or recompress. Leave out --size, --preset and --quality.")
        self._check_needs_no_new_picture("--lossless")

    def _check_xmp(self) -> None:
        if not self.xmp:
            return
        if any((self.name, self.format, self.strip, self.lossless, self.quality, self.carry)):
            raise UsageError(
                "--xmp writes photo.xmp instead of a picture. "
                "Leave out --name, --format, --strip, --lossless, --quality and --carry."
            )
        if self.top > 1 or len(self.targets) > 1:
            raise UsageError("--xmp describes one crop per photo. Give one ratio, and leave out --top.")
        if self.output_file is not None:
            raise UsageError(f"--xmp writes sidecars, but -o {self.output_file} is a picture. Give -o a folder.")
        self._check_needs_no_new_picture("--xmp")

    def _check_needs_no_new_picture(self, option: str) -> None:
        if self.fit is not None or self.shape == "circle":
            raise UsageError(f"{option} cannot pad or shape a crop. Leave out --fit and --shape circle.")

    def _check_output(self) -> None:
        if self.format is not None and self.extension is not None:
            _check_format(Path(f"crop{self.extension}"))
        # Folders may have a dot in their name, as in out.v2, but a suffix of letters only is meant as a file extension.
        if self.output is not None and not self.output.is_dir() and self.output.suffix[1:].isalpha():
            _check_format(self.output)
        if self.output_file is not None and len(self.targets) * self.top > 1:
            raise UsageError(f"-o {self.output_file} is one file, but there are several crops. Give -o a folder.")

    def _check_circle(self) -> None:
        if self.shape != "circle":
            return
        for target in self.targets:
            if target.ratio != (1, 1):
                raise UsageError(f"--shape circle needs square crops, and {target.label} is not. Use --ratio 1:1.")
        extension = self.extension or (self.output_file.suffix if self.output_file is not None else "")
        if extension and format_of(Path(f"crop{extension}")) not in ALPHA_FORMATS:
            raise UsageError(
                f"--shape circle needs transparency, which '{extension}' does not support. "
                "Use .png, .webp, .avif or .tif."
            )


def _with_dot(extension: str) -> str:
    return extension if extension.startswith(".") else f".{extension}"


def _check_format(path: Path) -> None:
    try:
        format_of(path)
    except PhotoError as error:
        raise UsageError(str(error)) from error
