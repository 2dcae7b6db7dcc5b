"""`make deploy` in a real Docker engine: the whole stack but Grafana, which only its own registry has."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.support.deployment import JOBS, PUBLISHED, SERVICES, Deployment, wait_for
from tests.support.files import ROOT
from tools.deploy.engine import DeployError

pytestmark = [
    pytest.mark.stack,
    # SQLAlchemy deprecates a loader strategy that MLflow's own models use; nothing here can change that.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]

CHECKS = ("docker", "compose", "settings", "ports", "postgres", "memory", "disk")
VERIFIED = ("containers", "targets", "rules", "configuration", "alerts", "test alert")


def test_a_deployment_is_tried_started_and_verified(deployed: Deployment) -> None:
    verdicts = re.findall(r"^(ok  |warn|FAIL)  (.{14})", deployed.first, re.MULTILINE)
    assert [(verdict, subject.strip()) for verdict, subject in verdicts] == [
        ("ok  ", subject) for subject in (*CHECKS, *VERIFIED)
    ]
    for name in PUBLISHED:
        assert f"http://127.0.0.1:{deployed.ports[name]}" in deployed.first


def test_the_same_deployment_again_changes_nothing(deployed: Deployment) -> None:
    before = {name: deployed.container(name)["Id"] for name in SERVICES}
    started = {name: deployed.container(name)["State"]["StartedAt"] for name in SERVICES}
    deployed.do("up")
    assert {name: deployed.container(name)["Id"] for name in SERVICES} == before
    assert {name: deployed.container(name)["State"]["StartedAt"] for name in SERVICES} == started


def test_own_numbers_are_taken_and_a_mistake_is_refused_with_its_line(deployed: Deployment) -> None:
    own = deployed.folder / "alerting.yml"
    own.write_text("alerts:\n  MlflowRunHanging: {threshold: 17h, for: 17m}\n", encoding="utf-8")
    try:
        deployed.do("up")
        groups = deployed.api("prometheus", "/api/v1/rules")["data"]["groups"]
        waits = {rule["name"]: rule.get("duration") for group in groups for rule in group["rules"]}
        assert waits["MlflowRunHanging"] == 17 * 60
        (page,) = deployed.stack.dashboards.rglob("ml-monitoring-mlflow-experiments.json")
        # The page counts in hours.
        assert '"value": 17\n' in page.read_text(encoding="utf-8")
        own.write_text("alerts:\n  MlflowRunHangs: {for: 17m}\n", encoding="utf-8")
        refused = deployed.call("up")
    finally:
        own.unlink()
    assert refused.returncode == 1
    # Tried before anything is built.
    message = (
        f"FAIL  alerting        {own}:2: alerts.MlflowRunHangs: no alert has this name; did you mean MlflowRunHanging?"
    )
    assert message in refused.stdout
    assert refused.stderr == "Nothing was changed.\n"
    deployed.do("up")


def test_a_password_that_was_changed_by_an_editor_is_taken(deployed: Deployment) -> None:
    folder, old = deployed.folder / "secrets", deployed.secret("exporter_password")
    for name in ("exporter_password", "mlflow_uri", "variants_uri"):
        new = folder / ".rewritten"
        new.write_text(deployed.secret(name).replace(old, "changed-by-hand-to-this-password"))
        new.chmod(0o444)
        # As editors do it: the file that is mounted is another one now.
        new.replace(folder / name)
    started = {name: deployed.container(name)["State"]["StartedAt"] for name in SERVICES}
    said = deployed.do("up")
    assert ">> starting what has new secrets again: exporter, postgres\n" in said
    changed = {name for name in SERVICES if deployed.container(name)["State"]["StartedAt"] != started[name]}
    assert changed == {"exporter", "postgres"}
    uri = f"postgresql://exporter:{old}@postgres:5432/mlflow"
    with pytest.raises(DeployError, match="password authentication failed"):
        deployed.inside("postgres", "psql", f"--dbname={uri}", "--command=select 1")
    wait_for(lambda: deployed.query("ml_monitoring_source_up") == {"ml-monitoring": 1})


def test_every_container_has_no_more_rights_than_it_needs(deployed: Deployment) -> None:
    for name in SERVICES:
        container = deployed.container(name)
        assert container["State"]["Health"]["Status"] == "healthy"
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert host["Memory"] > 0
        assert host["PidsLimit"] == 256
        process = deployed.inside(name, "cat", "/proc/1/status")
        owner = next(line for line in process.splitlines() if line.startswith("Uid:")).split()[1]
        assert owner != "0", name
        assert "CapEff:\t0000000000000000\n" in process
        assert "NoNewPrivs:\t1\n" in process
        with pytest.raises(DeployError, match="Read-only file system"):
            deployed.inside(name, "touch", "/made")


def test_nothing_listens_beyond_loopback(deployed: Deployment) -> None:
    listening = {}
    for name in SERVICES:
        for port, bindings in deployed.container(name)["NetworkSettings"]["Ports"].items():
            for binding in bindings or []:
                listening[name, port] = binding["HostIp"]
    assert set(listening.values()) == {"127.0.0.1"}
    assert {name for name, _port in listening} == set(PUBLISHED)


def test_a_service_sees_its_own_secrets_only(deployed: Deployment) -> None:
    def seen(name: str) -> set[str]:
        try:
            return set(deployed.inside(name, "ls", "/run/secrets").split())
        except DeployError:
            return set()

    assert {name: seen(name) for name in SERVICES if name != "postgres"} == {
        "exporter": {"mlflow_uri"},
        "prometheus": set(),
        "alertmanager": {"alertlog_token"},
        "alertlog": {"alertlog_token"},
        "node-exporter": set(),
        "postgres-exporter": {"monitor_password"},
    }
    assert seen("postgres") == {path.name for path in (deployed.folder / "secrets").glob("*_password")} - {
        "grafana_admin_password"
    }


def test_no_secret_is_on_show(deployed: Deployment) -> None:
    secrets = {path.name: path.read_text() for path in (deployed.folder / "secrets").iterdir() if path.is_file()}
    assert all(len(value) >= 32 for value in secrets.values())
    for name in SERVICES:
        container = deployed.container(name)
        seen = json.dumps(container) + deployed.stack.compose("logs", name)
        seen += deployed.inside(name, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        assert [secret for secret, value in secrets.items() if value in seen] == [], name


def test_who_sees_the_machine_cannot_read_its_secrets(deployed: Deployment) -> None:
    folder = f"/host{deployed.folder / 'secrets'}"
    assert "secrets" in deployed.inside("node-exporter", "ls", f"/host{deployed.folder}")
    with pytest.raises(DeployError, match="Permission denied"):
        deployed.inside("node-exporter", "ls", folder)
    with pytest.raises(DeployError, match="Permission denied"):
        deployed.inside("node-exporter", "cat", f"{folder}/postgres_password")
    with pytest.raises(DeployError, match=r"Read-only file system|Permission denied"):
        deployed.inside("node-exporter", "touch", "/host/tmp/made")


def test_prometheus_has_what_mlflow_wrote(deployed: Deployment) -> None:
    wait_for(lambda: deployed.query("sum(mlflow_runs{experiment='churn-classifier',status='FINISHED'})") == {"": 22})
    assert set(deployed.query("up")) == JOBS


def test_the_machine_and_the_database_are_watched(deployed: Deployment) -> None:
    # Other tests start PostgreSQL again; the next scrape knows.
    wait_for(lambda: deployed.query("pg_up") == {"postgres": 1})
    sizes = os.statvfs("/")
    disk = deployed.query("max by (job) (node_filesystem_size_bytes{mountpoint='/'})")["node"]
    assert disk == sizes.f_blocks * sizes.f_frsize
    # The machine's own network: a process on a network of containers sees another one.
    machine = {line.split(":")[0].strip() for line in Path("/proc/1/net/dev").read_text().splitlines() if ":" in line}
    answer = deployed.api("prometheus", "/api/v1/series?match[]=node_network_receive_bytes_total")
    devices = {one["device"] for one in answer["data"]}
    assert devices
    assert devices <= machine


def test_every_container_comes_back_after_a_crash_and_no_sample_is_lost(deployed: Deployment) -> None:
    now = time.time()
    before = deployed.query("count_over_time(up[2m])", now)
    alerts = history(deployed)
    pids = {name: deployed.container(name)["State"]["Pid"] for name in SERVICES}
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: all(deployed.container(name)["State"]["Pid"] not in (0, pids[name]) for name in SERVICES))
    verified = deployed.do("verify")
    assert verified.count("ok    ") == len(VERIFIED)
    after = deployed.query("count_over_time(up[2m])", now)
    assert set(after) == JOBS
    assert {job: before[job] - count for job, count in after.items() if before[job] - count > 1} == {}
    assert set(alerts) <= set(history(deployed))


def history(deployed: Deployment) -> list[tuple[str, ...]]:
    """Return what tells alerts apart; how they are doing may change."""
    return [
        (alert["labels"]["alertname"], str(alert["labels"].get("deployment")))
        for alert in deployed.api("alertlog", "/api/alerts?since=1h")
    ]


def test_a_restart_of_the_whole_stack_loses_no_history(deployed: Deployment) -> None:
    silence = {
        "matchers": [{"name": "alertname", "value": "Kept", "isRegex": False}],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2999-01-01T00:00:00Z",
        "createdBy": "test",
        "comment": "kept",
    }
    posted = deployed.stack.call("http://alertmanager:9093/api/v2/silences", body=json.dumps(silence))
    assert posted.status == 200
    now = time.time()
    before, alerts = deployed.query("count_over_time(up[2m])", now), history(deployed)
    deployed.do("down")
    assert deployed.stack.containers() == []
    deployed.stack.compose("up", "--detach", "--wait")
    after = deployed.query("count_over_time(up[2m])", now)
    assert {job: before[job] - count for job, count in after.items() if before[job] - count > 1} == {}
    assert set(after) == JOBS
    assert set(alerts) <= set(history(deployed))
    assert [one["comment"] for one in deployed.api("alertmanager", "/api/v2/silences")] == ["kept"]


def test_a_backup_brings_everything_back(deployed: Deployment) -> None:
    now = time.time()
    before, alerts = deployed.query("count_over_time(up[5m])", now), history(deployed)
    target = deployed.folder / "backup"
    deployed.do("backup", f"--to={target}")
    assert target.stat().st_mode & 0o777 == 0o700
    password = deployed.secret("postgres_password")
    deployed.stack.compose("down", "--volumes")
    (deployed.folder / "secrets" / "postgres_password").unlink()
    deployed.do("restore", str(target))
    assert deployed.secret("postgres_password") == password
    after = deployed.query("count_over_time(up[5m])", now)
    assert {job: before[job] - count for job, count in after.items() if before[job] - count > 1} == {}
    assert set(alerts) <= set(history(deployed))
    assert [one["comment"] for one in deployed.api("alertmanager", "/api/v2/silences")] == ["kept"]
    wait_for(lambda: deployed.query("sum(mlflow_runs{experiment='churn-classifier',status='FINISHED'})") == {"": 22})


def test_a_broken_stack_fails_verification_and_a_good_one_passes(deployed: Deployment) -> None:
    deployed.stack.compose("stop", "postgres-exporter")
    try:
        # Prometheus knows with its next scrape.
        wait_for(lambda: deployed.query("up")["postgres"] == 0)
        done = deployed.call("verify", "--within=5")
    finally:
        deployed.stack.compose("start", "postgres-exporter")
    assert done.returncode == 1
    assert "FAIL  containers      postgres-exporter: exited" in done.stdout
    assert "FAIL  targets         postgres postgres-exporter:9187: " in done.stdout
    assert "ok    alerts" in done.stdout


def test_the_exporter_shows_the_runbooks_and_ends_cleanly(deployed: Deployment) -> None:
    runbooks = sorted(path.stem for path in (ROOT / "alerting").glob("*/runbooks/*.md"))
    answer = deployed.stack.call(f"http://exporter:9847/runbooks/{runbooks[0]}")
    assert runbooks[0] in answer.body
    deployed.stack.compose("stop", "exporter")
    code = deployed.container("exporter")["State"]["ExitCode"]
    deployed.stack.compose("start", "exporter")
    assert code == 0
