"""Descriptions of color, and conversions by them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from autocrop.images import color, containers, isobmff, open_photo
from autocrop.images.color import Cicp
from tests.helpers.files import PROFILE, write_sixteen_bit

BOX = (10, 20, 110, 80)
DISPLAY_P3, PQ = Cicp(12, 13), Cicp(9, 16)
SRGB = ImageCms.createProfile("sRGB")


def in_srgb(path):
    """Return the pixels of a file as a color-managed viewer shows them."""
    with Image.open(path) as image:
        icc = image.info.get("icc_profile")
        image = image.convert("RGBA").convert("RGB") if image.mode not in ("RGB", "L", "CMYK") else image.copy()
    if icc is None:
        return np.asarray(image.convert("RGB")).astype(float)
    profile = ImageCms.getOpenProfile(io.BytesIO(icc))
    return np.asarray(ImageCms.profileToProfile(image, profile, SRGB, outputMode="RGB")).astype(float)


def gray_profile(gamma):
    """Return a gray ICC profile with a gamma."""
    return color._profile("Gray", color.SRGB_PRIMARIES, color._parametric((gamma,)), "gray")


def cmyk_profile():
    """Return a CMYK profile whose colors are half as bright as those of the formula: one table of 2 x 2 x 2 x 2."""
    lab = ImageCms.createProfile("LAB")
    to_lab = ImageCms.buildTransform(SRGB, lab, "RGB", "LAB")
    table = b""
    for c, m, y, k in np.ndindex(2, 2, 2, 2):
        pixel = Image.new("RGB", (1, 1), tuple(127 * (1 - ink) * (1 - k) for ink in (c, m, y)))
        lightness, a, b = ImageCms.applyTransform(pixel, to_lab).tobytes()
        table += bytes((lightness, a ^ 128, b ^ 128))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + color._fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut += bytes(range(256)) * 4 + table + bytes(range(256)) * 3
    tags = [(b"desc", color._text("Test")), (b"A2B0", lut), (b"wtpt", b"XYZ \0\0\0\0" + color._fixed(*color.D50))]
    head, contents, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for tag, content in tags:
        head += tag + struct.pack(">II", start + len(contents), len(content))
        contents += content.ljust(-(-len(content) // 4) * 4, b"\0")
    header = struct.pack(">I", start + len(contents)) + bytes(4) + b"\x02\x10\0\0prtrCMYKLab "
    header += bytes(12) + b"acsp" + bytes(28) + color._fixed(*color.D50)
    return header.ljust(128, b"\0") + head + contents


def png_with(photo, tmp_path, chunks, mode="RGB"):
    """Write a PNG with color chunks."""
    Image.open(photo).convert(mode).save(tmp_path / "plain.png")
    (tmp_path / "in.png").write_bytes(containers.insert_chunks((tmp_path / "plain.png").read_bytes(), chunks))
    return open_photo(tmp_path / "in.png")


def test_profiles_of_primaries_agree_with_little_cms():
    """The profile of sRGB's own primaries and curve changes no color."""
    profile = color._profile("sRGB", color.SRGB_PRIMARIES, color._curve(13), "rgb")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    opened = ImageCms.getOpenProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(image, opened, SRGB)
    assert np.abs(np.asarray(converted).astype(int) - np.asarray(image)).max() <= 1


def test_display_p3_is_wider_than_srgb():
    """Red of Display P3 lies outside of sRGB; gray is gray in both."""
    profile = color.profile_of_cicp(DISPLAY_P3, "rgb")
    image = Image.fromarray(np.array([[[200, 100, 100], [120, 120, 120]]], np.uint8))
    red, gray = np.asarray(color.to_srgb(image, profile)).astype(int)[0]
    assert red == pytest.approx([214, 95, 97], abs=2)
    assert gray == pytest.approx([120, 120, 120], abs=1)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".png", ".avif"])
def test_cicp_of_avif_is_kept_or_becomes_a_profile(photo, tmp_path, suffix):
    """Display P3 is labeled in each format."""
    Image.open(photo).save(tmp_path / "srgb.avif")
    (tmp_path / "in.avif").write_bytes(isobmff.with_cicp((tmp_path / "srgb.avif").read_bytes(), DISPLAY_P3))
    opened = open_photo(tmp_path / "in.avif")
    target = tmp_path / f"out{suffix}"
    assert opened.save(opened.crop(BOX), target) == []
    opened.save(opened.crop(BOX), tmp_path / f"stripped{suffix}", strip=True)
    for path in (target, tmp_path / f"stripped{suffix}"):
        if suffix == ".avif":
            assert isobmff.cicp_of(path.read_bytes()) == DISPLAY_P3
            continue
        with Image.open(path) as written:
            assert written.info["icc_profile"] == color.profile_of_cicp(DISPLAY_P3, "rgb")
        if suffix == ".png":
            assert (b"cICP", bytes((12, 13, 0, 1))) in list(containers.png_chunks(path.read_bytes()))


def test_cicp_of_heic_is_kept_or_becomes_a_profile(photo, tmp_path):
    """HEIC keeps its code points, and a JPEG gets a profile."""
    pillow_heif = pytest.importorskip("pillow_heif")
    image = Image.open(photo).convert("RGB")
    heif = pillow_heif.from_pillow(image)
    heif.save(tmp_path / "in.heic", color_primaries=12, transfer_characteristics=13)
    opened = open_photo(tmp_path / "in.heic")
    for name in ("out.heic", "out.jpg"):
        assert opened.save(opened.crop(BOX), tmp_path / name) == []
    assert open_photo(tmp_path / "out.heic")._decoder.metadata.cicp == DISPLAY_P3
    with Image.open(tmp_path / "out.jpg") as written:
        assert written.info["icc_profile"] == color.profile_of_cicp(DISPLAY_P3, "rgb")


@pytest.mark.parametrize(("suffix", "notes"), [(".jpg", 1), (".webp", 1), (".avif", 0), (".png", 0)])
def test_high_dynamic_range_is_kept_or_noted(photo, tmp_path, suffix, notes):
    """No profile of primaries and a curve describes PQ."""
    opened = png_with(photo, tmp_path, [(b"cICP", bytes((*PQ, 0, 1)))])
    told = opened.save(opened.crop(BOX), tmp_path / f"out{suffix}")
    assert len([note for note in told if "PQ" in note]) == len(told) == notes
    if suffix == ".avif":
        assert isobmff.cicp_of((tmp_path / "out.avif").read_bytes()) == PQ


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".avif", ".bmp"])
def test_gamma_of_pngs_becomes_a_profile(photo, tmp_path, suffix, mode):
    """A viewer shows the same colors in formats without gAMA; formats without profiles get converted pixels."""
    opened = png_with(photo, tmp_path, [(b"gAMA", struct.pack(">I", 100_000))], mode)
    opened.save(opened.crop(BOX), tmp_path / f"out{suffix}")
    linear = np.asarray(opened.crop(BOX).convert("RGB")) / 255
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(in_srgb(tmp_path / f"out{suffix}") - expected).mean() < 6


@pytest.mark.parametrize("chunks", [[(b"gAMA", struct.pack(">I", 45455))], [(b"sRGB", b"\0"), (b"gAMA", bytes(4))]])
def test_usual_gamma_needs_no_profile(photo, tmp_path, chunks):
    """Nearly all PNGs with gAMA are in sRGB."""
    opened = png_with(photo, tmp_path, chunks)
    assert opened.save(opened.crop(BOX), tmp_path / "out.jpg") == []
    with Image.open(tmp_path / "out.jpg") as written:
        assert "icc_profile" not in written.info


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".bmp"])
def test_cmyk_becomes_rgb_by_its_profile(photo, tmp_path, suffix):
    """The formula for CMYK without a profile is far from what printers and viewers show."""
    Image.open(photo).convert("CMYK").save(tmp_path / "in.jpg", icc_profile=cmyk_profile(), quality=95)
    opened = open_photo(tmp_path / "in.jpg")
    assert opened.save(opened.crop(BOX), tmp_path / f"out{suffix}") == []
    profile = ImageCms.getOpenProfile(io.BytesIO(cmyk_profile()))
    expected = ImageCms.profileToProfile(opened.crop(BOX), profile, SRGB, outputMode="RGB")
    by_formula = np.asarray(opened.crop(BOX).convert("RGB")).astype(float)
    written = in_srgb(tmp_path / f"out{suffix}")
    assert np.abs(written - np.asarray(expected)).mean() < 4
    assert np.abs(written - by_formula).mean() > 10


@pytest.mark.parametrize("profile", [b"", PROFILE])
def test_cmyk_without_its_profile_is_noted(photo, tmp_path, profile):
    """A missing profile, or one of RGB, does not describe CMYK."""
    Image.open(photo).convert("CMYK").save(tmp_path / "in.jpg", icc_profile=profile)
    opened = open_photo(tmp_path / "in.jpg")
    (note,) = opened.save(opened.crop(BOX), tmp_path / "out.png")
    assert note.startswith("CMYK becomes RGB without a color profile")


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".jpg"])
def test_gray_profiles_become_profiles_of_rgb(photo, tmp_path, suffix):
    """WebP and AVIF have no gray. The RGB profile has the same curve, so that all grays look the same."""
    Image.open(photo).convert("L").save(tmp_path / "in.png", icc_profile=gray_profile(1.0))
    opened = open_photo(tmp_path / "in.png")
    assert opened.save(opened.crop(BOX), tmp_path / f"out{suffix}") == []
    linear = np.asarray(opened.crop(BOX).convert("RGB")) / 255
    expected = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(in_srgb(tmp_path / f"out{suffix}") - expected).mean() < 6


def test_gray_profiles_of_16_bit_pictures_with_alpha_become_profiles_of_rgb(photo, tmp_path):
    """Such a picture is RGB with alpha from the start, which a gray profile does not describe."""
    gray = np.asarray(Image.open(photo).convert("L")).astype(np.uint16) * 257
    write_sixteen_bit(tmp_path / "in.png", np.dstack([gray, gray, gray, gray]))
    data = (tmp_path / "in.png").read_bytes()
    icc = gray_profile(1.8)
    chunk = (b"iCCP", b"Gray\0\0" + zlib.compress(icc))
    (tmp_path / "in.png").write_bytes(containers.insert_chunks(data, [chunk]))
    opened = open_photo(tmp_path / "in.png")
    opened.save(opened.crop(BOX), tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as written:
        assert color.space_of(written.info["icc_profile"]) == b"RGB "
        assert icc[-16:] in written.info["icc_profile"]


@pytest.mark.parametrize("target", ["out.bmp", "out.gif"])
def test_profiles_are_applied_for_formats_without_them(photo, tmp_path, target):
    """A BMP of a Display P3 photo shows the same colors."""
    profile = color.profile_of_cicp(DISPLAY_P3, "rgb")
    Image.open(photo).save(tmp_path / "in.png", icc_profile=profile)
    opened = open_photo(tmp_path / "in.png")
    opened.save(opened.crop(BOX), tmp_path / target)
    expected = np.asarray(color.to_srgb(opened.crop(BOX), profile)).astype(float)
    assert np.abs(in_srgb(tmp_path / target) - expected).mean() < 6
