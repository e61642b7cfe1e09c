"""TIFF files of every layout, written from arrays."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np

from autocrop.images import tiff


def longs(*numbers):
    """Return a value of unsigned 32-bit numbers."""
    return tiff.Value(tiff.LONG, struct.pack(f"<{len(numbers)}I", *numbers))


@dataclass
class TiffOptions:
    """How :func:`tiff_file` stores an array."""

    photometric: int = 2
    order: str = "<"
    compression: int = 1
    predictor: int = 1
    planar: bool = False
    extra: tuple[int, ...] | None = None
    """Values of ExtraSamples; None leaves the tag out."""
    tile: int = 0
    """Side of square tiles in pixels; 0 for strips of 16 rows."""
    big: bool = False
    fields: dict = field(default_factory=dict)
    """More fields of the directory."""


def tiff_file(array, options):
    """Return a TIFF file with one page of the array ``[h, w]`` or ``[h, w, c]``, in the array's type."""
    array = array[..., None] if array.ndim == 2 else array
    height, width, samples = array.shape
    planes = [array[..., [n]] for n in range(samples)] if options.planar else [array]
    blocks = [_encode(block, options) for plane in planes for block in _split(plane, options.tile)]
    start, offsets, body = 16, [], b""
    for block in blocks:
        offsets.append(start + len(body))
        body += block + bytes(len(block) % 2)
    counts = [len(block) for block in blocks]
    directory = {
        256: longs(width),
        257: longs(height),
        258: tiff.shorts(*[array.itemsize * 8] * samples),
        259: tiff.shorts(options.compression),
        262: tiff.shorts(options.photometric),
        277: tiff.shorts(samples),
        284: tiff.shorts(2 if options.planar else 1),
        317: tiff.shorts(options.predictor),
        339: tiff.shorts(*[{"u": 1, "i": 2, "f": 3}[array.dtype.kind]] * samples),
    }
    if options.tile:
        directory |= {322: longs(options.tile), 323: longs(options.tile), 324: longs(*offsets), 325: longs(*counts)}
    else:
        directory |= {273: longs(*offsets), 278: longs(16), 279: longs(*counts)}
    if options.extra is not None:
        directory[338] = tiff.shorts(*options.extra)
    directory |= options.fields
    end = start + len(body)
    if options.big:
        return _big_header(options.order, end) + body + _serialize_big(directory, options.order, end)
    header = {"<": b"II*\0", ">": b"MM\0*"}[options.order] + struct.pack(options.order + "I", end)
    return header.ljust(start, b"\0") + body + tiff.serialize(directory, options.order, end)


def _split(plane, tile):
    if not tile:
        return [plane[top : top + 16] for top in range(0, len(plane), 16)]
    padding = [(0, -plane.shape[0] % tile), (0, -plane.shape[1] % tile), (0, 0)]
    padded = np.pad(plane, padding)
    return [
        padded[top : top + tile, left : left + tile]
        for top in range(0, padded.shape[0], tile)
        for left in range(0, padded.shape[1], tile)
    ]


def _encode(block, options):
    if options.predictor == 2:
        block = np.diff(block, axis=1, prepend=np.zeros_like(block[:, :1]))
    if options.predictor == 3:
        rows = block.astype(block.dtype.newbyteorder(">")).reshape(len(block), -1).view(np.uint8)
        rows = rows.reshape(len(block), -1, block.itemsize).swapaxes(1, 2).reshape(len(block), -1, block.shape[2])
        data = np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1])).tobytes()
    else:
        data = block.astype(block.dtype.newbyteorder(options.order)).tobytes()
    return zlib.compress(data) if options.compression == 8 else data


def _big_header(order, offset):
    return {"<": b"II+\0", ">": b"MM\0+"}[order] + struct.pack(order + "HHQ", 8, 0, offset)


def _serialize_big(directory, order, offset):
    table, values = struct.pack(order + "Q", len(directory)), b""
    values_start = offset + 8 + 20 * len(directory) + 8
    for tag in sorted(directory):
        value = directory[tag]
        width = tiff.WORD_SIZES.get(value.type, 1)
        content = np.frombuffer(value.content, f"<u{width}").astype(f"{order}u{width}").tobytes()
        if len(content) > 8:
            position = struct.pack(order + "Q", values_start + len(values))
            values += content + bytes(-len(content) % 8)
            content = position
        table += struct.pack(order + "HHQ", tag, value.type, value.count) + content.ljust(8, b"\0")
    return table + bytes(8) + values


def with_second_page(first, second):
    """Return a little-endian file with the pages of two files, in that order."""
    shift = len(first) + len(first) % 2
    reader_order, directory = tiff.read(io.BytesIO(second))
    assert reader_order == "<"
    directory[273] = longs(*(offset + shift for offset in directory[273].integers))
    data = first.ljust(shift, b"\0") + second
    data += bytes(len(data) % 2)
    (start,) = struct.unpack_from("<I", first, 4)
    (count,) = struct.unpack_from("<H", first, start)
    link = start + 2 + 12 * count
    return data[:link] + struct.pack("<I", len(data)) + data[link + 4 :] + tiff.serialize(directory, "<", len(data))
