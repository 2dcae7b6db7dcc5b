import gzip
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.exposition import render_text
from ml_monitoring.exporter.runner import Runner
from ml_monitoring.exporter.sources.fleet import FleetSettings, FleetSource
from tests.support.fleet_files import (
    HEADER,
    START,
    Clock,
    line,
    messages,
    outcomes,
    replay,
    samples,
    write_csv,
    write_demo,
)
from tests.support.serving import serving
from tools.processes import wait_until

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
PHASE_BEGINS = {"stable": 0, "escalation": 90, "peak": 150, "recovery": 210}
POSITION = 'fleet_file_position_timestamp_seconds{file="fleet.csv"}'
PROGRESS = 'fleet_replay_progress_ratio{file="fleet.csv"}'
CPU = 'fleet_server_cpu_utilization_ratio{profile="web",server="web-001"}'


def walk(source: FleetSource, clock: Clock, seconds: int, step: float = 5.0) -> dict[str, float]:
    """Refresh every `step` seconds for so long; return what the last refresh shows."""
    for _ in range(round(seconds / step)):
        clock.now += step
        shown = samples(source.collect())
    return shown


@pytest.mark.parametrize("phase", PHASE_BEGINS)
def test_the_first_moment_of_each_phase_looks_like_this(phase: str, tmp_path: Path, programs: dict[str, Path]) -> None:
    clock = Clock()
    source = replay(write_demo(tmp_path, fleet_size=7), clock)
    families = source.collect()
    for _ in range(PHASE_BEGINS[phase] // 5):
        clock.now += 5
        families = source.collect()
    text = render_text(families)
    assert text.decode() == (GOLDEN / f"fleet_{phase}.txt").read_text(encoding="utf-8")
    assert messages(families) == []
    checked = subprocess.run([programs["promtool"], "check", "metrics"], check=False, input=text, capture_output=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def gzipped(path: Path) -> None:
    path.write_bytes(gzip.compress(path.read_bytes()))


def with_bom_and_crlf(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))


def semicolons(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b",", b";"))


def as_parquet(path: Path) -> None:
    shutil.move(write_demo(path.parent / "other", "parquet"), path)


def without_last_line_end(path: Path) -> None:
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))


@pytest.mark.parametrize("change", [gzipped, with_bom_and_crlf, semicolons, as_parquet, without_last_line_end])
def test_the_same_rows_in_another_dress_give_the_same_metrics(change: Callable[[Path], None], tmp_path: Path) -> None:
    shown = []
    for name in ("plain", "changed"):
        path = write_demo(tmp_path / name)
        if name == "changed":
            change(path)
        clock = Clock()
        source = replay(path, clock)
        source.collect()
        shown.append([walk(source, clock, 180), walk(source, clock, 115)])
    assert shown[0] == shown[1]
    assert shown[0][1][POSITION] == START + 295


@pytest.mark.parametrize(
    ("header", "said", "hint"),
    [
        (HEADER.replace(",profile", ";profile"), "'server_name;profile'", ""),
        (HEADER.replace(",", "\t").replace("\tstate", ",state"), "'profile,state'", ""),
        (HEADER.replace(",", " "), "'timestamp server_name profile state cpu_...'", ""),
        ("time;server;cpu", "", "found time, server, cpu"),
        ("time\tserver\tcpu", "", "found time, server, cpu"),
    ],
)
def test_a_header_with_other_separators_is_said_to_have_them(header: str, said: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_text(f"{header}\n1\n", encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        replay(path, Clock()).collect()
    if said:
        assert caught.value.hint == f"{said} is several columns: separate all of them by one of , ; | or by tabs"
    assert str(caught.value).endswith(hint)


def test_file_time_passes_at_the_given_speed(tmp_path: Path) -> None:
    clock = Clock()
    source = replay(write_demo(tmp_path), clock, speed=10)
    assert samples(source.collect())[POSITION] == START
    clock.now += 10
    shown = samples(source.collect())
    assert shown[POSITION] == START + 100
    assert shown[PROGRESS] == pytest.approx(100 / 295)


def test_how_often_it_is_refreshed_does_not_change_what_is_due(tmp_path: Path) -> None:
    path = write_demo(tmp_path)
    clocks = [Clock(), Clock()]
    often, rarely = (replay(path, clock) for clock in clocks)
    often.collect()
    rarely.collect()
    clocks[1].now += 170
    assert walk(often, clocks[0], 170, step=2)[CPU] == samples(rarely.collect())[CPU]


@pytest.mark.parametrize(
    ("at_end", "position", "progress", "servers"), [("loop", 5, 5 / 295, 1), ("hold", 295, 1, 1), ("stop", 295, 1, 0)]
)
def test_what_comes_after_the_end_is_a_setting(
    at_end: str, position: float, progress: float, servers: int, tmp_path: Path
) -> None:
    clock = Clock()
    source = replay(write_demo(tmp_path), clock, at_end=at_end)
    source.collect()
    assert CPU in walk(source, clock, 295)
    shown = walk(source, clock, 10)
    assert shown[POSITION] == START + position
    assert shown[PROGRESS] == pytest.approx(progress)
    assert [CPU in shown, "fleet_incident_probability_ratio" in shown] == [bool(servers)] * 2


def test_many_rounds_may_pass_between_two_refreshes(tmp_path: Path) -> None:
    clock = Clock()
    source = replay(write_demo(tmp_path), clock)
    source.collect()
    clock.now += 3 * 300 + 20
    assert samples(source.collect())[POSITION] == START + 20


def test_rows_are_counted_again_in_each_round_and_never_fall(tmp_path: Path) -> None:
    clock = Clock()
    source = replay(write_demo(tmp_path, fleet_size=6), clock)
    source.collect()
    assert outcomes(walk(source, clock, 295)) == {"ok": 360}
    assert outcomes(walk(source, clock, 5)) == {"ok": 366}
    oom = 'fleet_server_oom_events_total{profile="worker",server="worker-001"}'
    assert walk(source, clock, 180)[oom] == 2


def test_each_round_tells_the_same_story(tmp_path: Path) -> None:
    clock = Clock()
    source = replay(write_demo(tmp_path), clock)
    source.collect()
    risk = 'fleet_server_risk_ratio{profile="web",server="web-002"}'
    first = walk(source, clock, 100)[risk]
    source.reset()
    source.collect()
    assert walk(source, clock, 100)[risk] == first


def test_reset_begins_again_and_wakes_the_runner(tmp_path: Path) -> None:
    clock = Clock()
    source = replay(write_demo(tmp_path), clock)
    woken: list[bool] = []
    source.start(lambda: woken.append(True))
    source.collect()
    assert walk(source, clock, 100)[POSITION] == START + 100
    source.reset()
    assert woken == [True]
    assert samples(source.collect())[POSITION] == START
    assert walk(source, clock, 5)[POSITION] == START + 5


def test_a_file_that_is_replaced_begins_at_its_beginning(tmp_path: Path) -> None:
    clock = Clock()
    path = write_demo(tmp_path)
    source = replay(path, clock)
    source.collect()
    walk(source, clock, 100)
    write_csv(tmp_path / "new.csv", line(7), line(9)).replace(path)
    assert samples(source.collect())[POSITION] == START + 7


def test_a_row_of_the_far_future_does_not_stop_the_story(tmp_path: Path) -> None:
    clock = Clock()
    path = write_csv(
        tmp_path / "fleet.csv",
        line(0),
        line(5, timestamp="2999-01-01T00:00:00Z"),
        line(10),
        *map(line, range(11, 2000)),
    )
    source = replay(path, clock)
    source.collect()
    clock.now += 10
    families = source.collect()
    assert samples(families)[POSITION] == START + 10
    assert outcomes(samples(families)) == {"ok": 2, "out_of_range": 1}


def test_a_file_in_one_moment_is_replayed_to_its_end(tmp_path: Path) -> None:
    source = replay(write_csv(tmp_path / "fleet.csv", line(0)), Clock())
    assert samples(source.collect())[PROGRESS] == 1


def test_a_replay_without_one_good_row_says_why(tmp_path: Path) -> None:
    source = replay(write_csv(tmp_path / "fleet.csv", line(0, cpu_pct="high")), Clock())
    with pytest.raises(
        SourceError, match=r"fleet.csv: holds no row .* row 2: cpu_pct is 'high', not a number"
    ) as found:
        source.collect()
    assert found.value.reason is Reason.SCHEMA


def test_the_real_runner_replays_on_its_own_clock(tmp_path: Path) -> None:
    path = write_demo(tmp_path)
    runner = Runner(
        {"fleet": FleetSettings.model_validate({"path": path, "mode": "replay", "speed": 50, "interval": "100ms"})}
    )
    runner.start()
    try:
        peak = b'fleet_incident_phase{phase="peak"} 1.0'
        assert wait_until(lambda: peak in runner.snapshots.bodies.text.plain, timeout=20)
    finally:
        runner.stop()


def test_a_post_request_lets_the_story_begin_again(tmp_path: Path) -> None:
    path = write_demo(tmp_path)
    config = tmp_path / "ml-monitoring.yml"
    fleet = f"path: {path}, mode: replay, at_end: hold, speed: 3000, interval: 100ms"
    config.write_text(f"web: {{port: 0, enable_lifecycle: true}}\nsources: {{fleet: {{{fleet}}}}}\n")
    with serving(config) as exporter:
        exporter.wait_for(PROGRESS, 1)
        url = f"{exporter.url}/-/reset/fleet"
        assert requests.get(url, timeout=10).status_code == 405
        refused = requests.post(url, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10)
        assert (refused.status_code, refused.text) == (403, "Not from another site.\n")
        assert outcomes(exporter.samples()) == {"ok": 720}
        answer = requests.post(url, timeout=10)
        assert (answer.status_code, answer.text) == (200, "fleet begins again.\n")
        # The second round is counted like the first.
        exporter.wait_for('fleet_file_rows_total{file="fleet.csv",outcome="ok"}', 1440)
        unknown = requests.post(f"{exporter.url}/-/reset/mlflow", timeout=10)
        assert (unknown.status_code, unknown.text) == (404, "There is no source mlflow that can begin again.\n")


def test_check_says_what_it_found_and_changes_nothing(tmp_path: Path) -> None:
    path = write_demo(tmp_path, fleet_size=6)
    source = replay(path, Clock())
    assert source.check() == f"{path}, mode replay: 6 servers"
    assert outcomes(samples(source.collect())) == {"ok": 6}


def test_a_file_that_is_copied_over_with_its_old_time_is_replayed_anew(tmp_path: Path) -> None:
    clock = Clock()
    path = write_csv(tmp_path / "fleet.csv", line(0, cpu_pct=40), line(5, cpu_pct=40))
    source = replay(path, clock)
    cpu = 'fleet_server_cpu_utilization_ratio{profile="web",server="web-001"}'
    assert samples(source.collect())[cpu] == 0.4
    before = path.stat()
    write_csv(path, line(0, cpu_pct=41), line(5, cpu_pct=41))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert samples(source.collect())[cpu] == 0.41
