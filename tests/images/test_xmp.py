"""XMP packets edited for a crop."""

from __future__ import annotations

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
