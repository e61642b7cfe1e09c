"""How the pixels of a TIFF page are stored.

Sources: TIFF 6.0; Adobe PageMaker 6.0 and Photoshop TIFF technical notes (ICCLab, floating-point predictor).
"""

from __future__ import annotations

from dataclasses import dataclass

from autocrop.images.tiff import Directory

WIDTH, HEIGHT, BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES_PER_PIXEL, ROWS_PER_STRIP, STRIP_BYTE_COUNTS = 273, 277, 278, 279
PLANAR_CONFIGURATION, PREDICTOR = 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTE_COUNTS = 322, 323, 324, 325
INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT = 332, 338, 339
"""TIFF tags."""
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK, CIE_LAB, ICC_LAB = 0, 1, 2, 5, 8, 9
"""Values of :data:`PHOTOMETRIC`."""
COLOR_CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, CMYK: 4, CIE_LAB: 3, ICC_LAB: 3}
"""Number of color channels."""
UNSIGNED, SIGNED, FLOAT, UNDEFINED = 1, 2, 3, 4
"""Values of :data:`SAMPLE_FORMAT`."""
UNSPECIFIED, ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 0, 1, 2
"""Values of :data:`EXTRA_SAMPLES`. With associated alpha, the colors have been multiplied by the opacity."""
LOSSLESS_COMPRESSIONS = {
    1: "raw",
    5: "tiff_lzw",
    8: "tiff_adobe_deflate",
    32773: "packbits",
    32946: "tiff_deflate",
    34925: "lzma",
    50000: "zstd",
}
"""Compressions that yield the samples as they are, and Pillow's names for them."""
MAX_CHANNELS = 64
"""More channels are a sign of damage, or of data that is not a photo."""
SIXTEEN_BITS = range(9, 17)
"""Bits per channel that become 16 bits after decoding."""


@dataclass(frozen=True)
class Layout:
    """The layout of the pixels of a TIFF page."""

    width: int
    height: int
    bits: tuple[int, ...]
    """Bits of each sample of a pixel."""
    sample_format: int
    photometric: int
    compression: int
    predictor: int
    extra_samples: tuple[int, ...]
    """Meaning of each channel after the color channels."""
    planar: bool
    """True if the channels are stored one after the other."""
    block_width: int
    """Width in pixels of a strip or tile."""
    block_height: int
    offsets: tuple[int, ...]
    """Positions of the strips or tiles in the file."""
    byte_counts: tuple[int, ...]
    is_tiled: bool = False
    fill_order: int = 1
    ink_set: int = 1

    @classmethod
    def of_page(cls, directory: Directory) -> Layout:
        """Return the layout that a directory describes.

        Raises:
            ValueError: The directory does not describe a picture.
        """

        def integers(tag: int, *default: int) -> tuple[int, ...]:
            return (directory[tag].integers if tag in directory else ()) or default

        (width, *_), (height, *_) = integers(WIDTH, 0), integers(HEIGHT, 0)
        samples = integers(SAMPLES_PER_PIXEL, 1)[0]
        bits = integers(BITS_PER_SAMPLE, 1)
        if not (width and height and 0 < samples <= MAX_CHANNELS):
            raise ValueError("it has no valid dimensions")
        photometric = integers(PHOTOMETRIC, BLACK_IS_ZERO)[0]
        extra_count = max(0, samples - COLOR_CHANNELS.get(photometric, samples))
        # Some programs, such as OpenCV, omit the tag; their single extra channel is transparency.
        extra_samples = integers(EXTRA_SAMPLES, UNASSOCIATED_ALPHA if extra_count == 1 else UNSPECIFIED)
        is_tiled = TILE_OFFSETS in directory
        rows = min(integers(ROWS_PER_STRIP, height)[0] or height, height)
        return cls(
            width=width,
            height=height,
            bits=bits if len(bits) == samples else (bits[0],) * samples,
            sample_format=max(integers(SAMPLE_FORMAT, UNSIGNED)),
            photometric=photometric,
            compression=integers(COMPRESSION, 1)[0],
            predictor=integers(PREDICTOR, 1)[0],
            extra_samples=(*extra_samples, *[UNSPECIFIED] * extra_count)[:extra_count],
            planar=integers(PLANAR_CONFIGURATION, 1)[0] == 2 and samples > 1,
            block_width=integers(TILE_WIDTH, 0)[0] if is_tiled else width,
            block_height=integers(TILE_HEIGHT, 0)[0] if is_tiled else rows,
            offsets=integers(TILE_OFFSETS if is_tiled else STRIP_OFFSETS),
            byte_counts=integers(TILE_BYTE_COUNTS) if is_tiled else integers(STRIP_BYTE_COUNTS),
            is_tiled=is_tiled,
            fill_order=integers(FILL_ORDER, 1)[0],
            ink_set=integers(INK_SET, 1)[0],
        )

    @property
    def samples(self) -> int:
        """Channels of a pixel."""
        return len(self.bits)

    @property
    def decoded_bytes(self) -> int:
        """Size of the decoded samples."""
        return self.width * self.height * sum(self.bits) // 8

    @property
    def description(self) -> str:
        """The kind of page, in the terms of the TIFF specification."""
        return (
            f"PhotometricInterpretation {self.photometric}, Compression {self.compression}, "
            f"BitsPerSample {', '.join(map(str, self.bits))}"
        )

    @property
    def is_known(self) -> bool:
        """True if :attr:`problem` applies to the page; False for palettes, black and white, and lossy compressions."""
        return self.photometric in COLOR_CHANNELS and self.compression in LOSSLESS_COMPRESSIONS and min(self.bits) >= 8

    @property
    def is_plain(self) -> bool:
        """True for 8-bit gray, RGB and CMYK without extra channels, which Pillow reads correctly."""
        return (
            set(self.bits) == {8}
            and self.sample_format in (UNSIGNED, UNDEFINED)
            and not (self.extra_samples or self.planar)
            and self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK)
            and self.ink_set == 1
        )

    @property
    def problem(self) -> str:
        """Reason why a page of a known kind cannot be read, or an empty string."""
        if len(set(self.bits)) > 1:
            return "its channels have different numbers of bits"
        if self.samples < COLOR_CHANNELS[self.photometric]:
            return "it has too few channels for its colors"
        if self.sample_format not in (UNSIGNED, SIGNED, FLOAT, UNDEFINED):
            return "its samples are complex numbers"
        allowed = (16, 32, 64) if self.sample_format == FLOAT else (8, *SIXTEEN_BITS, 32, 64)
        if self.bits[0] not in allowed:
            kind = "floating-point " if self.sample_format == FLOAT else ""
            return f"its {kind}channels have {self.bits[0]} bits"
        if self.sample_format == FLOAT and self.photometric not in (BLACK_IS_ZERO, RGB):
            return "it has floating-point samples that are neither gray nor RGB"
        if self.sample_format == SIGNED and self.photometric != BLACK_IS_ZERO:
            return "it has signed samples that are not gray"
        if self.photometric == CMYK and self.ink_set != 1:
            return "its inks are not cyan, magenta, yellow and black"
        if self.photometric in (CIE_LAB, ICC_LAB) and self.bits[0] not in (8, 16):
            return f"its Lab channels have {self.bits[0]} bits"
        if self.predictor not in (1, 2, 3) or (self.predictor != 1 and self.bits[0] % 8):
            return "its compression uses an unusual predictor"
        return ""
