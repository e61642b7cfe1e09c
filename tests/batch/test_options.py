from pathlib import Path

import pytest

from autocrop.batch.options import Options
from autocrop.batch.targets import make_targets
from autocrop.errors import UsageError

SEVERAL = {"targets": make_targets(["1:1", "1.5"], []), "top": 2}
CIRCLE = {"targets": make_targets([], [], shape="circle"), "shape": "circle"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "--top must be at least 1"),
        ({"quality": 101}, "--quality must be between 1 and 100"),
        ({"shape": "star"}, "Unknown --shape 'star'"),
        ({"targets": make_targets(["4:3", "4x3"], [])}, "only once"),
        ({"fit": "pad"}, "--fit needs a --ratio"),
        ({"fit": "stretch"}, "pad, blur"),
        ({"pad_color": "red"}, "--pad-color needs --fit pad"),
        ({"fit": "blur", "pad_color": "red"}, "--pad-color needs --fit pad"),
        ({"fit": "pad", "pad_color": "purplish"}, "--pad-color"),
        ({"lossless": True, "quality": 90}, "--lossless cannot resize or recompress"),
        ({"lossless": True, "targets": make_targets([], ["9x9"])}, "--lossless cannot resize or recompress"),
        ({"lossless": True, "targets": make_targets(["1:1"], []), "fit": "pad"}, "--lossless cannot pad"),
        ({**CIRCLE, "lossless": True}, "--lossless cannot pad or shape"),
        ({**CIRCLE, "xmp": True}, "--xmp cannot pad or shape"),
        ({"xmp": True, "name": "{stem}_x"}, "--xmp writes photo.xmp instead of a picture"),
        ({"xmp": True, "format": "png"}, "--xmp writes photo.xmp instead of a picture"),
        ({"xmp": True, "carry": ["txt"]}, "--xmp writes photo.xmp instead of a picture"),
        ({"xmp": True, "lossless": True}, "--xmp writes photo.xmp instead of a picture"),
        ({"xmp": True, "top": 2}, "--xmp describes one crop per photo"),
        ({"xmp": True, "targets": make_targets(["1:1", "4:3"], [])}, "--xmp describes one crop per photo"),
        ({"xmp": True, "output": Path("x.png")}, "-o x.png is a picture"),
        ({**CIRCLE, "targets": make_targets(["4:3"], [])}, "4x3 is not"),
        ({**CIRCLE, "format": ".jpg"}, "transparency"),
        ({"format": "docx"}, "is not a format"),
    ],
)
def test_conflicting_options_are_rejected(options, message):
    """An invalid or conflicting option is rejected with a message that names it."""
    with pytest.raises(UsageError, match=message):
        Options(**options)


def test_circle_needs_an_output_file_with_transparency(tmp_path):
    """A circle is not written to a format without transparency that the output file chooses."""
    with pytest.raises(UsageError, match="transparency"):
        Options(**CIRCLE, output=tmp_path / "out.jpg")


def test_output_file_takes_one_crop(tmp_path):
    """-o FILE with two ratios is rejected."""
    with pytest.raises(UsageError, match="one file"):
        Options(make_targets(["1:1", "4:3"], []), output=tmp_path / "out.jpg")


@pytest.mark.parametrize(("written", "extension"), [("WebP", ".webp"), (".png", ".png"), (None, None)])
def test_format_becomes_an_extension(written, extension):
    """--format is accepted with and without a dot, in upper and lower case."""
    assert Options(format=written).extension == extension


def test_sizes_are_limited():
    """A target with more pixels than a photo may have is rejected: it would need too much memory."""
    Options(make_targets([], ["1000x1000"]), max_pixels=1_000_000)
    with pytest.raises(UsageError, match="100000x100000 has 10000000000 pixels, but --max-pixels allows 500000000"):
        Options(make_targets([], ["100000x100000"]))
    with pytest.raises(UsageError, match="1080x1350"):
        Options(make_targets([], [], ["instagram-portrait"]), max_pixels=1_000_000)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{stem}_{date}", r"Available fields: \{stem\}, \{label\}"),
        ("{stem", "expected '}'"),
        ("{stem:>10}_{label}", "Available fields"),
        ("{label}", "contains {stem}"),
        ("../{stem}_{label}", "inside the output folder"),
        ("/tmp/{stem}_{label}", "inside the output folder"),
        ("{stem}", "add {label}"),
        ("{stem}_{label}", "add {rank}"),
    ],
)
def test_invalid_templates_are_rejected(template, message):
    """An invalid --name is rejected with a message that says what it needs."""
    with pytest.raises(UsageError, match=message):
        Options(**SEVERAL, name=template)


@pytest.mark.parametrize("template", ["{stem}", "{folder}/{stem}", "{stem}_{folder}", "{stem}{rank}"])
def test_crops_next_to_photos_need_a_distinct_name(tmp_path, template):
    """A template must mark crops that go next to the photos, but not in a folder of their own or in a dry run."""
    with pytest.raises(UsageError, match="next run would crop them again"):
        Options(name=template, format=".png")
    Options(name=template, output=tmp_path / "out")
    Options(name=template, dry_run=True)
