"""The alert log: what it acknowledged survives anything, nothing counts twice."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import socket
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.alerting.domains import load_alerts, load_thresholds
from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.log.notification import NotificationError, parse
from ml_monitoring.alerting.log.page import document, page
from ml_monitoring.alerting.log.repeats import Repeats
from ml_monitoring.alerting.log.store import AlertLog
from ml_monitoring.exporter.errors import MonitorError
from tests.support.alert_log import T0, Server, body
from tests.support.alertmanager_server import AT_ONCE, running
from tools.processes import wait_until


def totals(log: AlertLog) -> dict[tuple[str, ...], float]:
    return {(total.metric, *total.labels): total.value for total in log.totals()}


STARTS = 'alert_starts_total{alertname="Broken",severity="warning",team="mlops"}'


def test_notifications_are_kept_beside_connections_that_say_nothing_or_half(server: Server) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    assert server.process.pid is not None
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (256, 256))
    half = b"POST /alerts HTTP/1.1\r\nContent-Length: 5\r\n"
    with contextlib.ExitStack() as stack:
        for number in range(400):
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
            with contextlib.suppress(ConnectionError):
                connection.sendall((b"", half, half + b"\r\n")[number % 3])
        assert server.post(body()) == 200
        server.get("/metrics")
        assert server.metric(STARTS) == 1
    assert "Traceback" not in server.process.log_tail(1000)


def test_a_malformed_notification_is_one_line_without_its_content(server: Server) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    for _ in range(5):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(b"POST /alerts HTTP/1.1\r\nAuthorization: Bearer never-in-a-log\x00\r\n\r\n")
            assert connection.makefile("rb").read().endswith(b"\r\n\r\nBad Request\n")
    log = server.process.log_tail(1000)
    assert log.count("malformed request") == 1
    assert "never-in-a-log" not in log


def test_what_was_acknowledged_survives_a_kill_under_load_and_nothing_counts_twice(server: Server) -> None:
    acknowledged: set[int] = set()
    tried: set[int] = set()
    stop = threading.Event()

    def sender(first: int) -> None:
        for number in range(first, first + 100_000):
            if stop.is_set():
                return
            tried.add(number)
            try:
                if server.post(body(number, starts=time.time())) == 200:
                    acknowledged.add(number)
            except OSError:
                return

    def more_than(count: int) -> bool:
        return len(acknowledged) > count

    for round_ in range(3):
        senders = [threading.Thread(target=sender, args=(round_ * 10_000_000 + each * 1_000_000,)) for each in range(6)]
        for each in senders:
            each.start()
        assert wait_until(partial(more_than, len(acknowledged) + 60), timeout=20)
        server.process.kill()
        stop.set()
        for each in senders:
            each.join()
        stop.clear()
        server.process.start()
        with sqlite3.connect(server.directory / "history.sqlite") as database:
            kept = {int(row[0], 16) for row in database.execute("SELECT fingerprint FROM alerts")}
        database.close()
        assert acknowledged <= kept <= tried
        assert server.metric(STARTS) == len(kept)
    assert len(acknowledged) > 180


def test_metrics_history_and_page_tell_the_same(server: Server) -> None:
    now = time.time()
    assert server.post(body(1, starts=now - 400)) == 200
    assert server.post(body(1, starts=now - 400, receiver="escalation")) == 200
    assert server.post(body(1, starts=now - 400, ends=now - 100)) == 200
    assert server.post(body(2, starts=now - 50)) == 200
    assert server.post(body(2, starts=now - 50)) == 200
    # Of a name that was never heard of, the first answer has its beginning.
    assert server.metric(STARTS) == 0
    assert server.metric(STARTS) == 2
    assert server.metric('alert_notifications_total{receiver="mlops-warning",status="firing"}') == 2
    assert server.metric('alert_notifications_total{receiver="escalation",status="firing"}') == 1
    assert server.metric("alert_log_duplicates_total") == 1
    of_it = '{alertname="Broken",severity="warning",team="mlops"}'
    assert server.metric(f"alert_time_to_resolve_seconds_count{of_it}") == 1
    assert server.metric(f"alert_time_to_resolve_seconds_sum{of_it}") == pytest.approx(300, abs=0.01)
    for bound, count in (("60.0", 0), ("900.0", 1)):
        bucket = f'{{alertname="Broken",le="{bound}",severity="warning",team="mlops"}}'
        assert server.metric(f"alert_time_to_resolve_seconds_bucket{bucket}") == count
    assert server.metric(f"alert_last_start_timestamp_seconds{of_it}") == pytest.approx(now - 50, abs=0.01)
    history: list[dict[str, Any]] = json.loads(server.get("/api/alerts?team=mlops"))
    assert [one["labels"]["number"] for one in history] == ["2", "1"]
    assert history[0]["ends"] is None
    assert history[1]["ends"].endswith("Z")
    assert datetime.fromisoformat(history[1]["ends"]).timestamp() == pytest.approx(now - 100, abs=0.01)
    assert datetime.fromisoformat(history[1]["starts"]).timestamp() == pytest.approx(now - 400, abs=0.01)
    assert [one["lasted_seconds"] for one in history] == [None, pytest.approx(300, abs=0.01)]
    first = history[1]["notified"]["escalation"]["first"]
    assert now - 1 < datetime.fromisoformat(first).timestamp() < now + 60
    assert set(history[1]["notified"]) == {"mlops-warning", "escalation"}
    assert json.loads(server.get("/api/alerts?team=growth")) == []
    assert len(json.loads(server.get("/api/alerts?since=90s"))) == 1
    html = server.get("/")
    assert "Number 1 &lt;broke&gt;." in html
    assert "<td>fires (as of " in html
    _head, fires, ended = html.split("<tr>")[1:]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", fires)[2] == ""
    assert re.findall(r"<td[^>]*>([^<]*)</td>", ended)[2] == "5 min"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"receiver": "a", "status": "x", "alerts": []}', body()[:-9], b"[" * 100_000]
)
def test_what_is_no_notification_is_refused_for_good(content: bytes, server: Server) -> None:
    assert server.post(content) == 400
    assert "Broken" not in server.get("/metrics")


def test_a_text_that_is_no_unicode_is_kept_without_it_and_holds_up_nothing(server: Server) -> None:
    assert server.post(body(1).replace(b"It broke.", b"It \\ud800 broke.")) == 200
    assert server.post(body(2)) == 200
    assert {alert["summary"] for alert in json.loads(server.get("/api/alerts?since=10y"))} == {
        "It ? broke.",
        "It broke.",
    }


@pytest.mark.parametrize(("said", "counted"), [(10**30, 10**9), (-5, 0), (None, 0), (1e300, 0), ("many", 0), (3, 3)])
def test_any_number_of_alerts_that_were_left_out_costs_no_notification(
    said: object, counted: int, make_log: Callable[[], AlertLog]
) -> None:
    content = json.dumps({**json.loads(body(1)), "truncatedAlerts": said}).encode()
    log = make_log()
    # Written together: what one cannot be written for costs the others, too.
    assert log.record([parse(content, T0), parse(body(2), T0)], T0) == 2
    assert sum(total.value for total in log.totals() if total.metric == "left_out") == counted


_QUERIES = {
    "since=yesterday": "since: not a duration: write it as 30s, 5m, 6h, 1d or 1h30m; or as a time: 2026-03-01T22:00Z",
    "until=12:00": "until: not a duration",
    "limit=x": "invalid literal",
    "limit=-1": "limit is -1, which is less than 1",
    "limit=0": "limit is 0",
    "sevrity=info": "unknown: sevrity; did you mean severity?",
    "colour=red": "unknown: colour; there are: alertname, severity, team",
}


@pytest.mark.parametrize("path", ["/api/alerts", "/"])
@pytest.mark.parametrize("query", _QUERIES)
def test_a_query_that_cannot_be_meant_is_refused(query: str, path: str, server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        server.get(f"{path}?{query}")
    answer = refused.value.read().decode()
    if path == "/":
        # The form stays, so that it can be put right there.
        name, value = query.split("=")
        assert f'<td colspan="8">{_QUERIES[query]}' in answer
        assert "Nothing fired" not in answer
        assert f'<input name="{name}" value="{value}"' in answer or name not in ("since", "until")
        return
    assert answer.startswith(_QUERIES[query])


def test_page_and_json_are_narrowed_by_the_same_query(server: Server) -> None:
    now = time.time()
    server.post(body(1, starts=now - 50_000, ends=now - 40_000, labels={"severity": "critical"}))
    server.post(body(2, starts=now - 20_000, ends=now - 10_000, labels={"team": "growth", "alertname": "Other"}))
    server.post(body(3, starts=now - 1_000))
    at = f"{datetime.fromtimestamp(now - 30_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    for query, found in {
        "": [3, 2, 1],
        "?since=6h": [3, 2],
        f"?since={at}": [3, 2],
        f"?until={at}": [1],
        "?since=1d&until=5h": [2, 1],
        "?team=growth": [2],
        "?severity=critical": [1],
        "?alertname=Broken&since=6h": [3],
        "?since=&until=&team=&severity=&alertname=Other": [2],
    }.items():
        history = json.loads(server.get(f"/api/alerts{query}"))
        assert [int(one["labels"]["number"]) for one in history] == found, query
        html = server.get(f"/{query}")
        assert [int(number) for number in re.findall(r"Number (\d) ", html)] == found, query
        # The link to JSON leads to the same alerts.
        (link,) = re.findall(r'href="(/api/alerts[^"]*)"', html)
        assert [int(one["labels"]["number"]) for one in json.loads(server.get(unescape(link)))] == found
    html = server.get("/?team=%22%3E%3Cscript%3E&severity=warning")
    assert 'value="&quot;&gt;&lt;script&gt;"' in html
    assert "<option selected>warning</option>" in html


def test_what_ended_in_a_silence_does_not_fire_once_it_begins_again(server: Server) -> None:
    now = time.time()
    server.post(body(1, starts=now - 9_000))
    # The file as an earlier version left it: two rows of one alert, of neither of which an end was notified.
    server.post(body(1, starts=now - 1_000))
    server.process.kill()
    server.process.start()
    second, first = json.loads(server.get("/api/alerts"))
    assert (first["ends"], first["fires"]) == (None, False)
    assert (second["ends"], second["fires"]) == (None, True)
    assert now - 1 < datetime.fromisoformat(first["last_notified"]).timestamp() < now + 60
    html = server.get("/")
    assert html.count("fires (as of ") == html.count("yes, time not known") == 1
    # It ended before it began again.
    for query, starts in {"?since=10m": [second["starts"]], "?since=30m": [second["starts"], first["starts"]]}.items():
        assert [one["starts"] for one in json.loads(server.get(f"/api/alerts{query}"))] == starts
        assert server.get(f"/{query}").count("Number 1 ") == len(starts)
    # How long it took is not known, so that no time to resolve counts it.
    count = STARTS.replace("alert_starts_total", "alert_time_to_resolve_seconds_count")
    assert server.metric(STARTS) == 2
    assert count not in server.get("/metrics")
    # Its end, where that is notified after all.
    server.post(body(1, starts=now - 9_000, ends=now - 2_000))
    second, first = json.loads(server.get("/api/alerts"))
    assert first["ends"] is not None
    assert second["fires"]
    # The first answer has its beginning.
    server.get("/metrics")
    assert (server.metric(STARTS), server.metric(count)) == (2, 1)


@pytest.mark.parametrize(
    ("severity", "ago", "said"),
    [
        # Notified again after 15 minutes and a minute; after twelve hours and five minutes; after a day and a quarter.
        ("critical", 900, "fires (as of {})"),
        ("critical", 1100, "no end notified; last heard of {}"),
        ("warning", 43_000, "fires (as of {})"),
        ("warning", 44_000, "no end notified; last heard of {}"),
        ("info", 87_000, "fires (as of {})"),
        ("somebody's own", 44_000, "no end notified; last heard of {}"),
    ],
)
def test_an_alert_fires_until_a_notification_is_overdue_as_what_ended_in_a_silence(
    severity: str, ago: float, said: str, make_log: Callable[[], AlertLog]
) -> None:
    log = make_log()
    heard = T0 - ago
    log.record([parse(body(1, starts=heard - 60, labels={"severity": severity}), heard)], heard)
    (alert,) = log.history(since=0, limit=9)
    overdue = Repeats.of(load_thresholds().notifications).is_overdue(alert, T0)
    assert said.format(f"{datetime.fromtimestamp(heard, UTC):%Y-%m-%d %H:%M:%S}") in page(
        [{**alert, "overdue": overdue}], {}, load_thresholds().teams
    )


def test_the_repeat_intervals_are_those_of_the_settings(tmp_path: Path) -> None:
    settings = tmp_path / "alerting.yml"
    times = "{group_wait: 1s, group_interval: 1s, repeat_interval: 1s}"
    settings.write_text(f"notifications: {{warning: {times}}}\n", encoding="utf-8")
    log = AlertLog(tmp_path / "log", retention=10**9, duplicate_window=120)
    for severity in ("warning", "info"):
        number = len(severity)
        heard = time.time() - 600
        log.record([parse(body(number, starts=heard, labels={"severity": severity}), heard)], heard)
    log.close()
    server = Server(tmp_path / "log", f"--settings={settings}")
    with server.process:
        found = json.loads(server.get("/api/alerts"))
    assert {one["labels"]["severity"]: one["overdue"] for one in found} == {"warning": True, "info": False}


def test_what_was_said_at_first_stays_beside_what_is_said_at_the_end(server: Server) -> None:
    now = time.time()

    def send(number: int, said: str, **more: Any) -> None:
        content = body(number, starts=now - 900, **more).replace(f"Number {number} <broke>.".encode(), said.encode())
        assert server.post(content) == 200

    send(1, "95 % are used.")
    send(1, "97 % <are> used.", receiver="escalation")
    send(2, "The same.")
    send(2, "The same.", ends=now)
    one, two = sorted(json.loads(server.get("/api/alerts")), key=lambda alert: str(alert["fingerprint"]))
    assert (one["description"], one["last_description"]) == ("95 % are used.", "97 % <are> used.")
    assert (two["description"], two["last_description"]) == ("The same.", None)
    assert "95 % are used.<br>At last: 97 % &lt;are&gt; used.<" in server.get("/")
    send(1, "81 % are used.", ends=now)
    assert "95 % are used.<br>At the end: 81 % are used.<" in server.get("/")
    # Of an older version: what is empty says nothing.
    send(3, "")
    send(3, "Now it does.", receiver="escalation")
    three = next(alert for alert in json.loads(server.get("/api/alerts")) if alert["fingerprint"].endswith("3"))
    assert (three["description"], three["last_description"]) == ("Now it does.", None)


def test_a_team_that_there_is_not_is_no_team_of_which_nothing_fired(server: Server) -> None:
    assert "no team <ops>; there are: platform, mlops, growth." in unescape(server.get("/?team=%3Cops%3E"))
    assert "there are:" not in server.get("/?team=growth")


def test_the_watchdog_is_on_the_page_only_where_it_is_asked_for(server: Server) -> None:
    now = time.time()
    watchdog = {"alertname": "MlMonitoringWatchdog", "severity": "none"}
    server.post(body(1, starts=now - 60))
    server.post(body(2, starts=now - 60, labels=watchdog))
    asked = re.findall(r'Watchdog, which always fires, is <a href="([^"]*)"', server.get("/"))
    queries = {"/": "1", "/?team=mlops": "1", "/?severity=warning": "1", f"/?alertname={watchdog['alertname']}": "2"}
    for query, number in {**queries, asked[0]: "2"}.items():
        assert re.findall(r"Number (\d) ", server.get(query)) == [number], query
    assert {one["labels"]["number"] for one in json.loads(server.get("/api/alerts"))} == {"1", "2"}


@pytest.mark.parametrize(
    ("starts", "ends", "fires", "heard", "span"),
    [
        (T0, T0 + 60, False, T0 + 70, (T0 - 1800, T0 + 1860)),
        # Its end is not known.
        (T0, None, False, T0 + 9000, (T0 - 1800, T0 + 10_800)),
        (T0, None, True, T0 + 9000, (T0 - 1800, None)),
        (0.0, None, True, T0, None),
    ],
)
def test_pages_open_at_the_time_of_the_alert(
    starts: float, ends: float | None, fires: bool, heard: float, span: tuple[float, float | None] | None
) -> None:
    links = {
        "runbook": "https://x.example/d/Broken",
        "dashboard": "http://g.example/grafana/d/page?viewPanel=2&var-job=a%26b",
        "logs": "http://g.example/d/logs",
    }
    alert = {"starts": starts, "ends": ends, "fires": fires, "last_notified": heard, "notified": {}, "links": links}
    now = time.time()
    found = document(alert)["links"]
    assert found["runbook"] == links["runbook"]
    if span is None:
        assert found == links
        return
    for name, sign in {"dashboard": "&", "logs": "?"}.items():
        address, _, times = found[name].rpartition(f"{sign}from=")
        from_, _, to = times.partition("&to=")
        assert (address, int(from_)) == (links[name], span[0] * 1000)
        assert int(to) == pytest.approx((span[1] or now) * 1000, abs=60_000 if span[1] is None else 0)


@pytest.mark.parametrize(
    "address", ["http://[::1/d/x", "https://kibana.example/app", "http://g.example/d/x?from=now-1h&to=now"]
)
def test_other_addresses_stay_as_they_were_posted(address: str) -> None:
    alert = {"starts": T0, "ends": T0, "fires": False, "last_notified": T0, "notified": {}}
    assert document({**alert, "links": {"dashboard": address}})["links"] == {"dashboard": address}


def test_a_receiver_that_was_heard_of_at_the_end_only_is_no_late_notification(server: Server) -> None:
    now = time.time()
    server.post(body(1, starts=now - 600, ends=now - 60))
    server.post(body(2, starts=now - 240))
    server.post(body(2, starts=now - 240, ends=now + 1))
    rows = [row for row in server.get("/").split("<tr>") if "mlops-warning" in row]
    assert ["mlops-warning after 4 min" in row for row in rows] == [True, False]
    assert ["mlops-warning (heard of its end only)" in row for row in rows] == [False, True]


def test_an_alert_leads_to_its_runbook_panel_and_logs_and_nowhere_else(server: Server) -> None:
    links = {
        "runbook_url": "https://x.example/runbooks/Broken?a=1&b=2",
        "dashboard_url": "http://g.example/d/1?viewPanel=2",
        "logs_url": "http://g.example/explore",
    }
    server.post(body(1, links=links))
    long = f"http://{'x' * 3000}"
    server.post(body(2, links={"runbook_url": "javascript:alert(1)", "dashboard_url": "/relative", "logs_url": long}))
    server.post(body(1, ends=T0 + 60))
    second, first = json.loads(server.get("/api/alerts?since=30y"))
    if first["labels"]["number"] == "2":
        first, second = second, first
    # The end of it has no links, and takes none away.
    links["dashboard_url"] += f"&from={T0 - 1800:.0f}000&to={T0 + 1860:.0f}000"
    assert first["links"] == dict(zip(("runbook", "dashboard", "logs"), links.values(), strict=True))
    assert second["links"] == {}
    html = server.get("/?since=30y")
    assert '<a href="https://x.example/runbooks/Broken?a=1&amp;b=2" rel="noreferrer">Runbook</a>, <a href=' in html
    assert ">Panel</a>" in html
    assert ">Page</a>" not in html
    server.post(body(3, links={"dashboard_url": "http://g.example/d/1?var-job=a"}))
    assert (
        f"from={T0 - 1800:.0f}000&amp;to=" in server.get("/?since=30y").partition(">Page</a>")[0].rpartition("<a ")[2]
    )
    assert "javascript" not in html


def test_a_real_alertmanager_tells_it_from_the_first_alert_to_its_end(
    programs: dict[str, Path], server: Server, tmp_path: Path
) -> None:
    config = alertmanager.build(timing=AT_ONCE, alert_log_url=f"{server.url}/alerts")
    labels = {"alertname": "Broken", "severity": "warning", "team": "mlops", "job": "exporter"}
    with running(programs["alertmanager"], config, tmp_path) as running_server:
        running_server.fire(labels)
        assert wait_until(lambda: len(json.loads(server.get("/api/alerts"))) == 1, timeout=10)
        running_server.resolve(labels)
        assert wait_until(lambda: json.loads(server.get("/api/alerts"))[0]["ends"] is not None, timeout=10)
    (alert,) = json.loads(server.get("/api/alerts"))
    assert alert["labels"] == labels
    assert list(alert["notified"]) == ["mlops-warning"]


def test_a_notification_sent_again_counts_once_and_a_repeated_one_counts(make_log: Callable[[], AlertLog]) -> None:
    log = make_log()
    first = parse(body(), T0)
    assert log.record([first, first], T0) == 1
    assert log.record([parse(body(), T0 + 60)], T0 + 60) == 0
    assert log.record([parse(body(), T0 + 300)], T0 + 300) == 1
    assert totals(log)["starts", "Broken", "warning", "mlops"] == 1
    assert totals(log)["notifications", "mlops-warning", "firing"] == 2
    assert totals(log)["duplicates",] == 2
    assert log.history(since=0, limit=9)[0]["notified"] == {"mlops-warning": {"first": T0, "times": 2}}


def test_what_is_older_than_the_retention_is_forgotten_and_totals_stay(make_log: Callable[[], AlertLog]) -> None:
    log = make_log()
    log.record([parse(body(1), T0)], T0)
    later = T0 + 3 * 86400
    log.record([parse(body(2), later)], later)
    log.prune(later)
    assert [alert["labels"]["number"] for alert in log.history(since=0, limit=9)] == ["2"]
    assert totals(log)["starts", "Broken", "warning", "mlops"] == 2


def test_an_error_of_a_notification_is_one_of_the_project() -> None:
    with pytest.raises(MonitorError):
        parse(b"{", 0)
    assert issubclass(NotificationError, MonitorError)


@pytest.mark.parametrize("missing", ["receiver", "status", "alerts"])
def test_what_a_notification_lacks_is_named(missing: str) -> None:
    content = json.loads(body(1))
    del content[missing]
    with pytest.raises(NotificationError) as refused:
        parse(json.dumps(content).encode(), 0)
    assert str(refused.value) == f"not a notification of Alertmanager: it lacks {missing}"


def test_every_alert_and_receiver_begins_at_0_so_that_its_first_event_is_an_increase(server: Server) -> None:
    for alert in load_alerts():
        labels = f'{{alertname="{alert.name}",severity="{alert.severity}",team="{alert.team}"}}'
        assert server.metric(f"alert_starts_total{labels}") == 0
        assert server.metric(f"alert_time_to_resolve_seconds_count{labels}") == 0
    assert server.metric('alert_notifications_total{receiver="escalation",status="firing"}') == 0
    assert server.metric("alert_log_duplicates_total") == 0
    for reason in ("host", "origin", "token", "size", "busy", "invalid"):
        assert server.metric(f'alert_log_refused_total{{reason="{reason}"}}') == 0


def test_names_of_others_begin_at_0_and_go_on_after_a_restart(server: Server) -> None:
    count = STARTS.replace("alert_starts_total", "alert_time_to_resolve_seconds_count")
    assert server.post(body(1, ends=T0 + 60)) == 200
    assert server.metric(STARTS) == 0
    assert (server.metric(STARTS), server.metric(count)) == (1, 1)
    server.process.kill()
    server.process.start()
    assert (server.metric(STARTS), server.metric(count)) == (1, 1)
    # What came before the first answer of a process is not lost either.
    other = 'alert_notifications_total{receiver="others",status="firing"}'
    assert server.post(body(2, receiver="others")) == 200
    assert server.metric(other) == 0
    assert server.metric(other) == 1
