"""XMP sidecars for Lightroom and Camera Raw."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from autocrop.batch.options import Options
from autocrop.batch.plan import Plan
from autocrop.batch.results import Status
from autocrop.batch.runner import run
from autocrop.batch.targets import make_targets
from autocrop.errors import PhotoError
from autocrop.images import open_photo, xmp
from tests.helpers.files import stored, write_dng

DESCRIPTION = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description"
CRS = f"{{{xmp.CRS}}}"
EDITED = b"""<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">Caf\xc3\xa9 &amp; cup</rdf:li></rdf:Alt></dc:title>
  </rdf:Description>
  <!-- by hand -->
  <rdf:Description rdf:about="" xmlns:c="http://ns.adobe.com/camera-raw-settings/1.0/" c:Exposure2012="+0.50"
   c:CropTop="0.5" c:HasCrop="True">
   <c:CropAngle>1.5</c:CropAngle>
   <c:ToneCurvePV2012><rdf:Seq><rdf:li>0, 0</rdf:li></rdf:Seq></c:ToneCurvePV2012>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end='w'?>"""


def crop_properties(sidecar):
    """Return Camera Raw's properties of the crop, read by another parser."""
    (properties,) = [
        {name.removeprefix(CRS): text for name, text in node.attrib.items() if name.startswith(CRS + "Crop")}
        for node in ElementTree.fromstring(sidecar).iter(DESCRIPTION)
        if node.get(CRS + "HasCrop") == "True"
    ]
    return properties


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sidecars_refer_to_the_stored_photo(photo, tmp_path, orientation):
    """Cropping the stored pixels as the sidecar says and turning them upright gives autocrop's crop."""
    image, exif = stored(Image.open(photo), orientation)
    image.save(tmp_path / "in.png", exif=exif)
    opened = open_photo(tmp_path / "in.png")
    box = (30, 50, 330, 250)
    properties = crop_properties(opened.sidecar(box))
    edges = [float(properties[f"Crop{side}"]) for side in ("Left", "Top", "Right", "Bottom")]
    pixels = [round(edge * side) for edge, side in zip(edges, image.size * 2, strict=True)]
    image.crop(pixels).save(tmp_path / "crop.png", exif=exif)
    cropped = open_photo(tmp_path / "crop.png").pixels
    assert np.array_equal(np.asarray(cropped), np.asarray(opened.pixels.crop(box)))
    assert float(properties["CropAngle"]) == 0


def test_existing_sidecars_keep_everything_but_the_crop(photo):
    """Titles, settings, comments and the properties of other programs stay."""
    merged = open_photo(photo).sidecar((0, 0, 300, 400), EDITED)
    properties = crop_properties(merged)
    assert [float(properties[name]) for name in ("CropTop", "CropRight", "CropAngle")] == [0, 0.5, 0]
    text = merged.decode()
    for expected in (
        "Café &amp; cup",
        'c:Exposure2012="+0.50"',
        "<!-- by hand -->",
        "c:ToneCurvePV2012",
        "<?xpacket end='w'",
    ):
        assert expected in text
    assert "1.5" not in text
    assert open_photo(photo).sidecar((0, 0, 300, 400), merged) == merged


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no xml",
        b"<x/>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
        EDITED[:500],
    ],
)
def test_sidecars_that_are_not_xmp_are_refused(photo, content):
    """They may be the user's work. Entities, which let a small file expand to gigabytes, are never expanded."""
    with pytest.raises(PhotoError, match="is not valid XMP"):
        open_photo(photo).sidecar((0, 0, 100, 100), content)


def test_batches_write_sidecars(engine, photo, tmp_path):
    """photo.xmp is written next to the photo, without a picture. An existing one is changed only with --overwrite."""
    before = photo.read_bytes()

    def sidecars(*photos, **options):
        made = Options(make_targets(["1:1"], []), xmp=True, **options)
        return list(run(engine, Plan.from_photos(photos, made)))

    (result,) = sidecars(photo)
    assert (result.status, result.output) == (Status.CROPPED, photo.with_suffix(".xmp"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.jpg", "photo.xmp"]
    assert photo.read_bytes() == before
    photo.with_suffix(".xmp").write_bytes(EDITED)
    (result,) = sidecars(photo)
    assert result.status is Status.SKIPPED
    assert "keeps the rest" in result.reason
    assert photo.with_suffix(".xmp").read_bytes() == EDITED
    (result,) = sidecars(photo, overwrite=True)
    assert result.status is Status.CROPPED
    assert b"+0.50" in photo.with_suffix(".xmp").read_bytes()
    photo.with_suffix(".xmp").write_bytes(b"notes of mine")
    (result,) = sidecars(photo, overwrite=True)
    assert result.status is Status.FAILED
    assert photo.with_suffix(".xmp").read_bytes() == b"notes of mine"


def test_photos_do_not_share_a_sidecar(engine, photo, tmp_path):
    """photo.xmp would describe photo.jpg and photo.png, so the second photo fails with a message."""
    Image.open(photo).save(tmp_path / "photo.png")
    options = Options(make_targets(["1:1"], []), xmp=True)
    first, second = run(engine, Plan.from_photos([photo, tmp_path / "photo.png"], options))
    assert first.status is Status.CROPPED
    assert second.status is Status.FAILED
    assert "share its sidecar" in second.reason
    assert not (tmp_path / "photo-2.xmp").exists()


@pytest.mark.parametrize("stored_orientation", [1, 2, 6, 7])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_in_a_sidecar_counts(photo, tmp_path, stored_orientation, orientation):
    """Lightroom writes there how the user has turned the photo, whatever EXIF says."""
    image, exif = stored(Image.open(photo), stored_orientation)
    image.save(tmp_path / "in.png", exif=exif)
    image.save(tmp_path / "expected.png", exif=stored(Image.new("L", (8, 8)), orientation)[1])
    sidecar = EDITED.replace(
        b"c:CropTop=", b'xmlns:tiff="%s" tiff:Orientation="%d" c:CropTop=' % (xmp.TIFF.encode(), orientation)
    )
    turned = open_photo(tmp_path / "in.png").turned_by_sidecar(sidecar)
    expected = open_photo(tmp_path / "expected.png")
    assert (turned.width, turned.height) == (expected.width, expected.height)
    assert np.array_equal(turned.preview(), expected.preview())
    assert np.array_equal(np.asarray(turned.pixels), np.asarray(expected.pixels))
    box = (30, 50, 130, 250)
    assert crop_properties(turned.sidecar(box)) == crop_properties(expected.sidecar(box))


def test_batches_crop_photos_as_their_sidecar_turns_them(engine, photo):
    """A 4:5 crop of a photo that the sidecar turns is 5:4 in the stored photo."""
    content = EDITED.replace(b"c:CropTop=", b'xmlns:tiff="%s" tiff:Orientation="6" c:CropTop=' % xmp.TIFF.encode())
    photo.with_suffix(".xmp").write_bytes(content)
    options = Options(make_targets(["4:5"], []), xmp=True, overwrite=True)
    (result,) = run(engine, Plan.from_photos([photo], options))
    assert result.status is Status.CROPPED
    properties = {
        name: float(text)
        for name, text in crop_properties(photo.with_suffix(".xmp").read_bytes()).items()
        if text[0].isdigit()
    }
    width = (properties["CropRight"] - properties["CropLeft"]) * 600
    height = (properties["CropBottom"] - properties["CropTop"]) * 400
    assert width / height == pytest.approx(5 / 4, abs=0.01)


def test_raw_files_take_the_sidecar_of_a_pair(engine, photo, tmp_path):
    """Lightroom reads photo.xmp for photo.dng only, so photo.jpg is skipped, whatever the order of the files."""
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "photo.dng", 1)
    for paths in ([photo, tmp_path / "photo.dng"], [tmp_path / "photo.dng", photo]):
        options = Options(make_targets(["1:1"], []), xmp=True, overwrite=True)
        results = {result.path.suffix: result for result in run(engine, Plan.from_photos(paths, options))}
        assert results[".dng"].status is Status.CROPPED
        assert results[".jpg"].status is Status.SKIPPED
        assert "photo.dng" in results[".jpg"].reason
