"""Our branch in an Alertmanager that others use: theirs stays as it was, and each alert goes to its own."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.cli import main
from tests.support.alertmanager_server import Alertmanager, serving

OURS = {"alertname": "MlApiErrorRatioHigh", "severity": "critical", "team": "mlops", "stack": "ml-monitoring"}
# One like ours but for the label, in a team of ours, one of theirs with a route, and one without.
THEIRS = (
    {"alertname": "MlApiErrorRatioHigh", "severity": "critical", "team": "platform"},
    {"alertname": "InvoiceLate", "severity": "warning", "team": "billing"},
    {"alertname": "DiskFull", "severity": "warning", "job": "node"},
)
BLOCKS = """\
# The on-call team looks after this file.
global:
  resolve_timeout: 5m   # kept
templates:
# of everybody
- '/etc/alertmanager/*.tmpl'

route:
  receiver: everybody
  group_by: [alertname, cluster]
  routes:
    # billing pays for its own pager
    - matchers: [ 'team="billing"' ]
      receiver: billing   # on weekdays
receivers:
- name: everybody
- name:   billing
  webhook_configs:
      - {url: 'http://127.0.0.1:9/', send_resolved: false}

inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: [severity="warning"]
    equal: [job, instance, alertname]
"""
FILES = {
    "blocks": BLOCKS,
    "no lists": "route:\n  receiver: everybody\nreceivers:\n- name: everybody\n- name: billing",
    "empty lists": "templates: []\ninhibit_rules:\nroute:\n  routes: [ ]\n  receiver: everybody\n"
    "receivers: [{name: everybody}]\n",
    "brackets": '{route: {receiver: everybody, routes: [{matchers: [team="billing"], receiver: billing}]},\n'
    " receivers: [ {name: everybody}, {name: billing} ]}\n",
    "JSON": json.dumps(yaml.safe_load(BLOCKS)),
    "end marks": "---\n" + BLOCKS + "...\n",
    "another system's lines": BLOCKS.replace("\n", "\r\n"),
    "an anchor": BLOCKS.replace("equal: [job", "equal: &same [job")
    + '  - source_matchers: [a="b"]\n    equal: *same\n',
}
TEMPLATES = "ml-monitoring-notifications.tmpl"
SETTINGS = "alert_labels: {stack: ml-monitoring}\nnotifications: {alert_log: null, alert_log_token_file: null"
PAGES = ", channels: {pager: {kind: webhook, url: 'http://127.0.0.1:9/'}}"
MUTED = (
    ", mute_times: {nights: {severities: [warning], intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]}}"
)


def merge(folder: Path, text: str | None = None, settings: str = SETTINGS + PAGES + "}") -> Path:
    """Put ours into their file, which is written first where a text is given, and return its path."""
    path, own = folder / "alertmanager.yml", folder / "own.yml"
    if text is not None:
        path.write_bytes(text.encode())
    own.write_text(settings)
    assert main(["generate", "--settings", str(own), "--output-dir", str(folder / "rules"), "--into", str(path)]) == 0
    return path


def without_marked(text: str) -> str:
    """Return a text without what is between our marks, found line by line."""
    kept, is_ours = [], False
    for line in text.splitlines(keepends=True):
        before, begins, _ = line.partition("# BEGIN ml-monitoring")
        is_ours = is_ours or bool(begins)
        if begins and before.strip():
            kept.append(before.removesuffix(" "))
        elif not is_ours:
            kept.append(line)
        is_ours = is_ours and "# END ml-monitoring" not in line
    return "".join(kept)


@pytest.mark.parametrize("name", FILES)
def test_theirs_stays_byte_for_byte_and_ours_is_replaced(name: str, programs: dict[str, Path], tmp_path: Path) -> None:
    path = merge(tmp_path, FILES[name])
    first = path.read_bytes()
    subprocess.run([programs["amtool"], "check-config", path], check=True, capture_output=True)
    assert without_marked(first.decode()).removesuffix("\n") == FILES[name].removesuffix("\n")
    assert (tmp_path / TEMPLATES).is_file()
    assert b"ml-monitoring-mlops-critical" in first
    merge(tmp_path)
    assert path.read_bytes() == first
    changed = merge(tmp_path, settings="teams: [platform, mlops, growth, search]\n" + SETTINGS + PAGES + MUTED + "}")
    assert b"ml-monitoring-search-critical" in changed.read_bytes()
    assert b"ml-monitoring-nights" in changed.read_bytes()
    subprocess.run([programs["amtool"], "check-config", path], check=True, capture_output=True)
    merge(tmp_path)
    assert path.read_bytes() == first
    for _ in range(2):
        assert main(["generate", "--into", str(path), "--remove"]) == 0
        assert path.read_bytes() == FILES[name].encode()
        assert not (tmp_path / TEMPLATES).exists()


def test_removing_names_the_lines_that_still_leave_our_alerts_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "alertmanager.yml"
    rule = """inhibit_rules:
  - source_matchers: [severity="critical", stack!="ml-monitoring"]
    target_matchers: [severity="warning"]
    equal: [job]
"""
    path.write_text(BLOCKS.partition("inhibit_rules")[0] + rule)
    line = path.read_text().splitlines().index('  - source_matchers: [severity="critical", stack!="ml-monitoring"]') + 1
    merge(tmp_path)
    capsys.readouterr()
    assert main(["generate", "--into", str(path), "--remove"]) == 0
    out, err = capsys.readouterr()
    assert err == f'note: {path}:{line}: still says !="ml-monitoring", which nothing needs any more\n'
    assert "Alertmanager 20 minutes later" in out


def test_removing_needs_a_file_and_both_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(BLOCKS + "# END ml-monitoring\n")
    for command, code, said in (
        ([], 2, "--remove: give the file"),
        (
            ["--into", str(path)],
            1,
            f"alertmanager.yml:{len(BLOCKS.splitlines()) + 1}: one of our marks, `# END ml-monitoring`, has no",
        ),
    ):
        assert main(["generate", *command, "--remove"]) == code
        assert said in capsys.readouterr().err
    assert path.read_text() == BLOCKS + "# END ml-monitoring\n"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            "source_matchers: [severity=critical]\n"
            "    target_matchers: ['{severity =~ \"warning|info\"}']\n    equal: [team]",
            r"so that \w+ and \d+ more can mute and \w+ and \d+ more can be muted: "
            r'add stack!="ml-monitoring" to its source_matchers and target_matchers\n',
        ),
        (
            "source_match: {severity: critical}\n    target_match_re: {severity: warn.*}",
            r" can mute and .* can be muted: ",
        ),
        (
            'source_matchers: [alertname="NodeDown"]\n'
            '    target_matchers: [alertname!="NodeDown"]\n    equal: [instance]',
            r'so that \w+ and \d+ more can be muted: add stack!="ml-monitoring" to its target_matchers\n',
        ),
        (
            'source_matchers: [severity="critical"]\n    target_matchers: [alertname="Invoices"]',
            r"more can mute: .*source_matchers\n",
        ),
        # Names are of one alert, ours left out, meant for ours, and about what ours are not.
        ("source_matchers: [severity=critical]\n    target_matchers: [severity=warning]\n    equal: [alertname]", ""),
        (
            'source_matchers: [severity=critical, stack!="ml-monitoring"]\n'
            '    target_matchers: [severity=warning, stack!="ml-monitoring"]',
            "",
        ),
        ('source_matchers: [alertname="MlMonitoringDown"]\n    target_matchers: [severity="warning"]', ""),
        ('source_matchers: [team="billing"]\n    target_matchers: [team="billing"]', ""),
    ],
)
def test_a_rule_of_theirs_that_mutes_by_ours_or_mutes_ours_is_named(
    rule: str, said: str, programs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = merge(tmp_path, f"{BLOCKS}  - {rule}\n")
    subprocess.run([programs["amtool"], "check-config", path], check=True, capture_output=True)
    lines = path.read_text().splitlines()
    # The last one: their first rule begins as some of these.
    line = len(lines) - lines[::-1].index(f"  - {rule.splitlines()[0]}")
    notes = [note for note in capsys.readouterr().err.splitlines(keepends=True) if "inhibit rule" in note]
    assert len(notes) == bool(said)
    if said:
        assert notes[0].startswith(f"note: {path}:{line}: this inhibit rule holds for our alerts, too, ")
        assert re.search(said, notes[0])


def routed(amtool: Path, config: Path, labels: dict[str, str]) -> str:
    given = [f"{name}={value}" for name, value in labels.items()]
    command: list[str | Path] = [amtool, "config", "routes", "test", f"--config.file={config}", *given]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_each_alert_goes_to_its_own(programs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "before.yml").write_text(BLOCKS)
    path = merge(tmp_path, BLOCKS)
    for labels in THEIRS:
        assert routed(programs["amtool"], path, labels) == routed(programs["amtool"], tmp_path / "before.yml", labels)
    assert routed(programs["amtool"], path, OURS) == "ml-monitoring-escalation,ml-monitoring-mlops-critical"
    assert routed(programs["amtool"], path, {**OURS, "team": "nobody"}) == "ml-monitoring-unrouted"


def test_a_running_alertmanager_takes_it_and_mutes_nobody_elses(programs: dict[str, Path], tmp_path: Path) -> None:
    path = merge(tmp_path, BLOCKS)
    about = {"job": "shop", "experiment": "checkout"}
    warning = {**OURS, **about, "alertname": "MlPredictionDrift", "severity": "warning"}
    of_others = {**THEIRS[0], **about, "alertname": "Slow", "severity": "warning"}
    with serving(programs["alertmanager"], path, tmp_path) as server:
        server.fire({**OURS, **about}, warning, of_others, *THEIRS)
        server.wait_until_muted(warning, by=OURS["alertname"])
        assert server.muted_by(of_others) == ""
        assert receivers(server) == {
            (OURS["alertname"], "ml-monitoring-escalation"),
            (OURS["alertname"], "ml-monitoring-mlops-critical"),
            ("MlPredictionDrift", "ml-monitoring-mlops-warning"),
            (OURS["alertname"], "everybody"),
            ("Slow", "everybody"),
            ("InvoiceLate", "billing"),
            ("DiskFull", "everybody"),
        }
        merge(tmp_path, settings="teams: [platform, mlops, growth, search]\n" + SETTINGS + PAGES + "}")
        server.reload()
        server.fire({**OURS, "team": "search", "alertname": "MlApiLatencyHigh"})
        assert ("MlApiLatencyHigh", "ml-monitoring-search-critical") in receivers(server)
        assert ("InvoiceLate", "billing") in receivers(server)


def receivers(server: Alertmanager) -> set[tuple[str, str]]:
    return {(one["labels"]["alertname"], to["name"]) for one in server.alerts() for to in one["receivers"]}


_ROUTE = "route: {receiver: a}\n"
REFUSED = {
    "no label": ("alert_labels of the settings has no label", BLOCKS),
    "of Prometheus": (
        "alertmanager.yml: is no configuration of Alertmanager: Alertmanager knows no scrape_configs",
        "scrape_configs: []\n",
    ),
    "empty": ("it is no mapping of sections", ""),
    "a list": ("it is no mapping of sections", "- a\n"),
    "two documents": (":3: not valid YAML", _ROUTE + "receivers: [{name: a}]\n---\na: 1\n"),
    "no route": ("it has no route with a receiver", "receivers: [{name: a}]\n"),
    "no receivers": ("it has no list of receivers", _ROUTE),
    "no YAML": ("; a bracket or a quote", 'global: {smtp_auth_password: "secret}\n'),
    "an alias": (":3: inhibit_rules: write it as a list", _ROUTE + "receivers: &r [{name: a}]\ninhibit_rules: *r\n"),
    "a merge key": (
        "ours has no place",
        "route:\n  <<: &b {receiver: a, routes: [{receiver: a}]}\nreceivers: [{name: a}]\n",
    ),
    "a name of ours": (
        "ml-monitoring-watchdog: has a name of ours",
        _ROUTE + "receivers: [{name: a}, {name: ml-monitoring-watchdog}]\n",
    ),
    "half of the marks": (
        ":2: one of our marks, `# BEGIN ml-monitoring`, has no",
        _ROUTE + "# BEGIN ml-monitoring: x\nreceivers: [{name: a}]\n",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_merged_is_refused_by_name_and_left_alone(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected, text = REFUSED[what]
    path, own = tmp_path / "alertmanager.yml", tmp_path / "own.yml"
    path.write_text(text)
    own.write_text("{}" if what == "no label" else SETTINGS + PAGES + "}")
    assert main(["generate", "--settings", str(own), "--output-dir", str(tmp_path / "o"), "--into", str(path)]) == 1
    (said,) = capsys.readouterr().err.splitlines()
    assert expected in said
    assert "secret" not in said
    assert path.read_text() == text
    assert {each.name for each in tmp_path.iterdir()} == {"alertmanager.yml", "own.yml"}


def test_a_link_stays_one_and_rights_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    target = tmp_path / "etc" / "real.yml"
    target.write_text(BLOCKS)
    target.chmod(0o640)
    (tmp_path / "alertmanager.yml").symlink_to(target)
    merge(tmp_path)
    assert (tmp_path / "alertmanager.yml").is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert (tmp_path / "etc" / TEMPLATES).is_file()


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ("", "note: no channel: nobody is notified; see notifications.channels of the settings\n"),
        (PAGES, ""),
        (", webhook: 'http://127.0.0.1:9/'", ""),
        (
            PAGES.replace("kind", "teams: [mlops, growth], kind"),
            "note: no channel for platform-critical, platform-warning: nobody is notified of these\n",
        ),
    ],
)
def test_who_is_not_notified_is_said(
    channels: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yml"
    own.write_text(SETTINGS + channels + "}")
    assert main(["generate", "--settings", str(own), "--output-dir", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert err == said
    folder = tmp_path / "out"
    assert out == (
        f"{folder}: alertmanager.yml, alerts.yml, notifications.tmpl, rules.yml written; "
        f"next: promtool check rules {folder}/alerts.yml, then reload Prometheus, "
        "and Alertmanager where it reads the alertmanager.yml from there\n"
    )
    # What is of the stack of docker compose is written on demand.
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "rules.yml",
        "alerts.yml",
        "alertmanager.yml",
        "notifications.tmpl",
    }
