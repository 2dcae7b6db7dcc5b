import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_monitoring.exporter.catalog import REFRESH_BUCKETS
from ml_monitoring.exporter.exposition import OPENMETRICS_END, render_openmetrics, render_text
from ml_monitoring.exporter.families import FamilySet
from ml_monitoring.exporter.snapshot import Body, Piece, Renderer, Snapshot, SnapshotStore

_UP = "ml_monitoring_source_up"
_ERRORS = "ml_monitoring_source_errors_total"
_DURATION = "ml_monitoring_source_refresh_duration_seconds"


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
    store = SnapshotStore()
    store.publish(b=Snapshot.of(b"b 1\n", b"b 1\n", 1), a=Snapshot.of(b"a 1\n", b"a 1\n", 1))
    store.publish(b=Snapshot.of(b"b 2\n", b"b 2\n", 1))
    assert store.bodies.text.plain == b"a 1\nb 2\n"
    assert store.bodies.openmetrics.plain == b"a 1\nb 2\n" + OPENMETRICS_END


def test_withdrawing_a_source_leaves_the_others() -> None:
    store = SnapshotStore()
    store.publish(a=Snapshot.of(b"a 1\n", b"a 1\n", 1), b=Snapshot.of(b"b 1\n", b"b 1\n", 1))
    store.publish(a=None)
    store.publish(unknown=None)
    assert store.bodies.text.plain == b"b 1\n"


def test_bodies_that_were_handed_out_do_not_change() -> None:
    store = SnapshotStore()
    before = store.bodies
    store.publish(a=Snapshot.of(b"a 1\n", b"a 1\n", 1))
    assert before.text.plain == b""
    assert before.openmetrics.plain == OPENMETRICS_END


def test_equal_formats_share_memory() -> None:
    (family,) = Snapshot.of(b"a 1\n", b"a 1\n", 1).families
    assert family.text is family.openmetrics


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (_UP, [_UP]),
        (_ERRORS, [_ERRORS]),
        (_ERRORS.removesuffix("_total"), [_ERRORS]),
        (_DURATION, [_DURATION]),
        (f"{_DURATION}_bucket", [_DURATION]),
        (f"{_DURATION}_sum", [_DURATION]),
        (f"{_UP}_sum", []),
        ("ml_monitoring_source", []),
        ("", []),
    ],
)
def test_families_are_chosen_by_their_own_names_and_those_of_their_samples(name: str, found: list[str]) -> None:
    families = FamilySet("exporter")
    families[_UP].add(1, f"# HELP {_DURATION}")
    families[_ERRORS].add(1, "a", "read")
    families[_DURATION].add_distribution([1] * (len(REFRESH_BUCKETS) + 1), 2.0, "a")
    store = SnapshotStore()
    store.publish(a=Snapshot.of(render_text(families), render_openmetrics(families), families.series))
    bodies = store.select([name], [])

    def kept(body: Body) -> list[str]:
        return [line.split()[2] for line in body.plain.decode().splitlines() if line.startswith("# TYPE")]

    assert kept(bodies.text) == found
    assert kept(bodies.openmetrics) == [each.removesuffix("_total") for each in found]
    assert gzip.decompress(bodies.text.gzip) == bodies.text.plain
    assert bodies.openmetrics.plain.endswith(OPENMETRICS_END)


def test_choosing_by_source_leaves_the_others_out() -> None:
    store = SnapshotStore()
    store.publish(b=Snapshot.of(b"b 1\n", b"b 1\n", 1), a=Snapshot.of(b"a 1\n", b"a 1\n", 1))
    assert store.select([], ["b", "x"]).text.plain == b"b 1\n"
    assert store.select([], []).text == store.bodies.text


_VALUES = st.dictionaries(st.sampled_from("abc"), st.floats(allow_nan=False).filter(bool), max_size=3)


def _families(gauges: dict[str, float], seconds: dict[str, float], durations: dict[str, float]) -> FamilySet:
    families = FamilySet("mlflow")
    for name, value in gauges.items():
        families["mlflow_store_rows"].add(value, name)
    for name, value in seconds.items():
        families["mlflow_running_run_start_timestamp_seconds"].add(value, name)
    for name, value in durations.items():
        families["mlflow_run_duration_seconds"].add_distribution([1] * 13, value, name)
    return families


@given(st.lists(st.tuples(_VALUES, _VALUES, _VALUES), min_size=1, max_size=5))
def test_rendering_what_changed_gives_the_same_bytes_as_rendering_all(
    refreshes: list[tuple[dict[str, float], dict[str, float], dict[str, float]]],
) -> None:
    renderer = Renderer()
    for refresh in refreshes:
        families = _families(*(dict(sorted(values.items())) for values in refresh))
        snapshot = renderer.render(families)
        assert Body.join(snapshot.text).plain == render_text(families)
        assert Body.join(snapshot.openmetrics).plain == render_openmetrics(families)
        assert snapshot.series == families.series


def test_what_did_not_change_is_not_rendered_again() -> None:
    renderer = Renderer()
    first = renderer.render(_families({"a": 1}, {"a": 1}, {}))
    second = renderer.render(_families({"a": 1}, {"a": 2}, {}))
    assert second.text[0] is first.text[0]
    assert second.text[-1] is not first.text[-1]
    # Both formats share the samples, and gauges without a unit their headers, too.
    assert second.text[-1] is second.openmetrics[-1]
    assert second.text[0] is second.openmetrics[0]
    families = _families({"a": 1}, {}, {})
    assert renderer.render(families) is renderer.render(families)
