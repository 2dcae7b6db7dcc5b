import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition import OPENMETRICS_END
from exporter.snapshot import Board, Body, Piece, Snapshot


@given(st.lists(st.binary(max_size=2000), max_size=5))
def test_joined_pieces_are_one_gzip_member(parts: list[bytes]) -> None:
    body = Body.join([Piece.of(part) for part in parts])
    assert body.plain == b"".join(parts)
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert decompressor.decompress(body.gzip) == body.plain
    assert decompressor.eof
    assert decompressor.unused_data == b""
    assert gzip.decompress(body.gzip) == body.plain


def test_a_board_holds_the_newest_snapshot_of_each_source() -> None:
    board = Board()
    board.publish(b=Snapshot.of(b"b 1\n", b"b 1\n", 1), a=Snapshot.of(b"a 1\n", b"a 1\n", 1))
    board.publish(b=Snapshot.of(b"b 2\n", b"b 2\n", 1))
    assert board.bodies.text.plain == b"a 1\nb 2\n"
    assert board.bodies.openmetrics.plain == b"a 1\nb 2\n" + OPENMETRICS_END


def test_withdrawing_a_source_leaves_the_others() -> None:
    board = Board()
    board.publish(a=Snapshot.of(b"a 1\n", b"a 1\n", 1), b=Snapshot.of(b"b 1\n", b"b 1\n", 1))
    board.publish(a=None)
    board.publish(unknown=None)
    assert board.bodies.text.plain == b"b 1\n"


def test_bodies_that_were_handed_out_do_not_change() -> None:
    board = Board()
    before = board.bodies
    board.publish(a=Snapshot.of(b"a 1\n", b"a 1\n", 1))
    assert before.text.plain == b""
    assert before.openmetrics.plain == OPENMETRICS_END


def test_equal_formats_share_memory() -> None:
    snapshot = Snapshot.of(b"a 1\n", b"a 1\n", 1)
    assert snapshot.text is snapshot.openmetrics
