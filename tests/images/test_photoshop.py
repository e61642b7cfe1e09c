"""Photoshop image resources."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autocrop.images import photoshop
from autocrop.images.photoshop import Resource

RESOURCES = st.lists(
    st.builds(
        Resource,
        st.integers(1000, 9999),
        st.sampled_from([b"\0\0", b"\4path\0", b"\3abc"]),
        st.binary(),
        st.sampled_from([b"8BIM", b"PHUT", b"MeSa", b"AgHg", b"DCSR"]),
    )
)


@given(RESOURCES)
def test_resources_survive_a_round_trip(resources):
    """Names and contents of odd and even lengths are read back as they were written."""
    assert list(photoshop.parse(photoshop.serialize(resources))) == resources


@given(RESOURCES, st.binary(min_size=1))
def test_iptc_is_replaced(resources, iptc):
    """The new records are read back, and the other resources stay."""
    replaced = photoshop.replace_iptc(photoshop.serialize(resources), iptc)
    assert photoshop.iptc_of(replaced) == iptc
    removed = photoshop.replace_iptc(replaced, b"")
    assert photoshop.iptc_of(removed) == b""
    others = [
        resource
        for resource in resources
        if resource.number != photoshop.IPTC or resource.signature != photoshop.SIGNATURE
    ]
    assert list(photoshop.parse(removed)) == others


@given(RESOURCES, st.data())
def test_parsing_ends_at_damage(resources, data):
    """A truncated block yields the complete resources at its beginning."""
    block = photoshop.serialize(resources)
    parsed = list(photoshop.parse(block[: data.draw(st.integers(0, len(block)))]))
    assert parsed == resources[: len(parsed)]


def test_padding_may_be_missing():
    """Some programs do not pad resources of odd lengths; what follows them is still read."""
    first, second = Resource(1034, b"\0\0", b"\1"), Resource(photoshop.IPTC, b"\0\0", b"\x1c\2\5\0\1x")
    data = photoshop.serialize([first])[:-1] + photoshop.serialize([second]) + bytes(4)
    assert list(photoshop.parse(data)) == [first, second]
    assert not photoshop.is_damaged(data)
    assert photoshop.is_damaged(data[:-6])
