"""Bodies unfolded piece by piece: in whatever pieces they come, and never cut unnoticed."""

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_api.inflating import PIECE_BYTES, Inflater


def unfolded(packed: bytes, cuts: list[int], *, is_gzip: bool = True) -> bytes:
    inflater, found = Inflater(gzip=is_gzip), b""
    for start, end in pairwise([0, *sorted(cuts), len(packed)]):
        inflater.put(packed[start:end])
        while piece := inflater.read():
            assert len(piece) <= PIECE_BYTES
            found += piece
    inflater.end()
    return found


def raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@given(st.data(), st.lists(st.binary(max_size=300), min_size=1, max_size=3))
def test_gzip_of_several_members_in_any_pieces(data: st.DataObject, members: list[bytes]) -> None:
    packed = b"".join(map(gzip.compress, members))
    cuts = data.draw(st.lists(st.integers(0, len(packed)), max_size=6))
    assert unfolded(packed, cuts) == b"".join(members)


@given(st.data(), st.binary(max_size=300))
def test_deflate_with_and_without_its_frame(data: st.DataObject, content: bytes) -> None:
    for packed in (zlib.compress(content), raw(content)):
        cuts = data.draw(st.lists(st.integers(1, len(packed)), max_size=6))
        assert unfolded(packed, cuts, is_gzip=False) == content


def test_a_bomb_comes_in_pieces() -> None:
    content = bytes(20 * PIECE_BYTES)
    assert unfolded(gzip.compress(content), []) == content


@pytest.mark.parametrize("left", [1, 8, 9, 15])
def test_a_stream_that_was_cut_is_told(left: int) -> None:
    packed = gzip.compress(b"x" * 1000)
    with pytest.raises(zlib.error):
        unfolded(packed[:-left], [])
    with pytest.raises(zlib.error):
        unfolded(packed + packed[:-left], [])


def test_what_is_none_or_goes_on_after_its_end_is_told() -> None:
    with pytest.raises(zlib.error):
        unfolded(b"plain text", [])
    with pytest.raises(zlib.error):
        unfolded(gzip.compress(b"x") + b"more", [])
    with pytest.raises(zlib.error):
        unfolded(zlib.compress(b"x") + b"more", [], is_gzip=False)


def test_nothing_unfolds_to_nothing() -> None:
    assert unfolded(b"", []) == b""
