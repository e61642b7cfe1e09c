"""XMP packets edited for a crop."""

from __future__ import annotations

import time

import pytest

from autocrop.images import xmp
from tests.helpers.files import xmp_packet


def test_untouched_packets_keep_every_byte():
    """A packet in which everything stays true is not serialized again."""
    packet = b"\n" + xmp_packet(['dc:title="Coffee"', "<xmp:Rating>4</xmp:Rating>"]) + b"  \n"
    assert xmp.update_for_crop(packet, (100, 60), upright=True) == (packet, [])


@pytest.mark.parametrize("upright", [True, False])
def test_orientation_is_reset_only_for_upright_crops(upright):
    """A lossless crop keeps the orientation of its photo; the size is updated in both cases."""
    packet = xmp_packet(['tiff:Orientation="6"', "<tiff:ImageWidth>600</tiff:ImageWidth>"])
    updated, _ = xmp.update_for_crop(packet, (100, 60), upright)
    assert (b'tiff:Orientation="1"' in updated) is upright
    assert b"<tiff:ImageWidth>100</tiff:ImageWidth>" in updated


LABEL = xmp_packet(['xmp:Label="Red"', 'tiff:Orientation="6"'])


@pytest.mark.parametrize(
    "packet",
    [
        LABEL + b'<?xpacket end="w"?>  garbage \x80',
        b"garbage" + LABEL,
        LABEL.replace(b'xmp:Label="Red"', b'xmp:Label="Red" lr:weight="1"'),
        LABEL.replace(b'"Red"', b'"R\x01ed"'),
        LABEL.replace(b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/"', b""),
        LABEL.replace(b"</x:xmpmeta>", b"</x:xmpmeta>\0\0<x:xmpmeta"),
    ],
    ids=["junk behind", "junk before", "prefix", "character", "known prefix", "second start"],
)
def test_damaged_packets_are_repaired(packet):
    """Junk around the packet, undeclared prefixes and invalid characters do not cost the whole packet."""
    updated, notes = xmp.update_for_crop(packet, (100, 60), upright=True)
    assert notes == []
    (description,) = xmp.descriptions(xmp.parse(updated))
    assert description.getAttributeNS(xmp.XMP, "Label") == "Red"
    assert description.getAttributeNS(xmp.TIFF, "Orientation") == "1"
    assert b"garbage" not in updated


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_packets_in_other_encodings_are_read(encoding):
    """XMP may be in UTF-16 or UTF-32, too."""
    updated, _ = xmp.update_for_crop(LABEL.decode().encode(encoding), (100, 60), upright=True)
    assert b'xmp:Label="Red"' in updated


@pytest.mark.parametrize(
    "properties",
    [
        "<dc:a>" * 3000 + "</dc:a>" * 3000,
        "<dc:a/>" * 2_000_000,
        " ".join(f'dc:a{number}="x"' for number in range(100_000)),
    ],
    ids=["deep", "many elements", "many attributes"],
)
def test_huge_packets_are_refused_at_once(properties):
    """A DOM of millions of elements would take gigabytes, and a deep one more stack than Python has."""
    packet = xmp_packet([properties])
    start = time.perf_counter()
    with pytest.raises(xmp.TooLargeError):
        xmp.update_for_crop(packet, (100, 60), upright=True)
    assert time.perf_counter() - start < 1


REGION = "<rdf:Bag><rdf:li>a region of the uncropped photo</rdf:li></rdf:Bag>"


@pytest.mark.parametrize(
    ("schema", "name", "note"),
    [
        ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "ImageRegion", "IPTC image regions"),
        ("http://ns.acdsee.com/regions/", "Regions", "ACDSee regions"),
        ("http://www.metadataworkinggroup.com/schemas/regions/", "Regions", "face regions"),
        ("http://ns.microsoft.com/photo/1.2/", "RegionInfo", "face regions"),
        ("http://ns.apple.com/faceinfo/1.0/", "Regions", "face regions"),
        ("http://ns.adobe.com/exif/1.0/", "SubjectArea", "position of the subject"),
        ("http://ns.adobe.com/exif/1.0/", "SubjectLocation", "position of the subject"),
        ("http://ns.google.com/photos/1.0/panorama/", "FullPanoWidthPixels", "panorama"),
        ("http://ns.google.com/photos/1.0/focus/", "FocalPointX", "focus"),
        ("http://ns.google.com/photos/1.0/container/", "Directory", ""),
        ("http://ns.google.com/photos/dd/1.0/device/", "Cameras", ""),
        ("http://ns.google.com/photos/1.0/depthmap/", "Near", ""),
    ],
)
def test_regions_of_the_uncropped_photo_are_removed(schema, name, note):
    """Positions in the uncropped photo are wrong in a crop. Neighbors in the same schema stay."""
    packet = xmp_packet([f'<r:{name} xmlns:r="{schema}">{REGION}</r:{name}>', "<xmp:Rating>4</xmp:Rating>"])
    updated, notes = xmp.update_for_crop(packet, (100, 60), upright=True)
    assert b"a region" not in updated
    assert b"<xmp:Rating>4</xmp:Rating>" in updated
    assert len(notes) == bool(note)
    assert note in "".join(notes)
    again, notes = xmp.update_for_crop(updated, (100, 60), upright=True)
    assert (again, notes) == (updated, [])
