"""Judgements of the deployment tool; what it does is shown by the tests that need a Docker engine."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.exporter.config import load
from tests.support.certificates import replace_certificate
from tools.deploy import certificates, database, preflight, readable, secrets, settings, verify
from tools.deploy.cli import main
from tools.deploy.engine import DOCKER, DeployError, Stack, read_env
from tools.deploy.result import Result


def target(job: str, health: str, error: str = "") -> dict[str, Any]:
    return {"labels": {"job": job, "instance": f"{job}:1"}, "health": health, "lastError": error}


def test_targets_that_are_down_or_unknown_are_named() -> None:
    targets = [target("a", "up"), target("b", "down", "connection refused"), target("c", "unknown")]
    with pytest.raises(DeployError, match=r"^b b:1: connection refused\nc c:1: not scraped yet$"):
        verify.judge_targets({"data": {"activeTargets": targets}})
    assert verify.judge_targets({"data": {"activeTargets": targets[:1]}}) == "1 up: a"
    with pytest.raises(DeployError, match="no targets"):
        verify.judge_targets({"data": {"activeTargets": []}})


def test_rules_that_are_missing_fail_or_were_not_evaluated_are_named() -> None:
    good = {"name": "r", "health": "ok"}
    group = {"name": "g", "rules": [good, {"name": "s", "health": "err", "lastError": "many-to-many"}]}
    with pytest.raises(DeployError, match=r"^group h is not loaded\ng/s: many-to-many$"):
        verify.judge_rules({"data": {"groups": [group]}}, {"g", "h"})
    unknown = {"name": "g", "rules": [{"name": "s", "health": "unknown"}]}
    with pytest.raises(DeployError, match="g/s: not evaluated yet"):
        verify.judge_rules({"data": {"groups": [unknown]}}, {"g"})
    fine = {"name": "g", "rules": [good, good]}
    assert verify.judge_rules({"data": {"groups": [fine]}}, {"g"}) == "2 in 1 groups, all evaluated"


def test_samples_elsewhere_must_be_there_and_new() -> None:
    def answer(*values: str) -> dict[str, Any]:
        return {"data": {"result": [{"value": [0, value]} for value in values]}}

    assert verify.judge_remote(answer("31.5")) == "VictoriaMetrics has Prometheus's samples"
    with pytest.raises(DeployError, match="the newest sample in VictoriaMetrics is 200 s old"):
        verify.judge_remote(answer("200"))
    with pytest.raises(DeployError, match="has no samples"):
        verify.judge_remote(answer())


def test_containers_may_have_ended_well_and_must_otherwise_be_healthy() -> None:
    rows: list[dict[str, Any]] = [
        {"Service": "a", "State": "running", "Health": "healthy"},
        {"Service": "b", "State": "running", "Health": ""},
        {"Service": "once", "State": "exited", "Health": "", "ExitCode": 0},
    ]
    assert verify.judge_containers(rows) == "3 healthy"
    wrong: list[dict[str, Any]] = [
        {"Service": "c", "State": "running", "Health": "starting"},
        {"Service": "d", "State": "exited", "Health": "", "ExitCode": 137},
    ]
    with pytest.raises(DeployError, match=r"^c: running, starting\nd: exited$"):
        verify.judge_containers([*rows, *wrong])
    with pytest.raises(DeployError, match="no containers"):
        verify.judge_containers([])


@pytest.mark.parametrize(
    ("text", "version"),
    [("2.26.1-4", (2, 26)), ("v2.24.0", (2, 24)), ("5.0.1", (5, 0)), ("1.29.2", (1, 29)), ("dev", (0, 0))],
)
def test_versions_of_compose_are_understood(text: str, version: tuple[int, int]) -> None:
    assert preflight.compose_version(text) == version


def test_settings_of_the_environment_go_before_the_file_before_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("# mine\nGRAFANA_PORT=3001\nEXPORTER_PORT='1'\n")
    monkeypatch.setenv("EXPORTER_PORT", "2")
    settings = Stack(tmp_path).settings
    assert settings["GRAFANA_PORT"] == "3001"
    assert settings["EXPORTER_PORT"] == "2"
    assert settings["PROMETHEUS_PORT"] == "9090"


def test_a_line_that_is_no_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nGRAFANA_PORT 3001\n")
    with pytest.raises(DeployError, match=r"\.env:2: neither NAME=value nor a comment$"):
        read_env(tmp_path / ".env")


def test_values_are_read_as_compose_reads_them(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1 # one\nB='2 # two'\nC=\"3\" # three\nD=\nE= # none\nF=a#b\nG=#c\n")
    assert read_env(tmp_path / ".env") == {"A": "1", "B": "2 # two", "C": "3", "D": "", "E": "", "F": "a#b", "G": ""}
    (tmp_path / ".env").write_text("export A = 4 \nB: 5\n  C =6\n")
    assert read_env(tmp_path / ".env") == {"A": "4", "B": "5", "C": "6"}


def test_settings_that_nothing_reads_or_that_cannot_be_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "GRAFANA_PROT=1\nGRAFANA_URL=https://x\nEXPORTER_PORT=0\nPROMETHEUS_RETENTION_SIZE=10\nPOSTGRES_MEMORY=512\n"
        "ALERTMANAGER_PORT=70000\nPROMETHEUS_RETENTION=30 days\nLOGS_RETENTION=2 weeks\nTRACES_URL=jaeger:16686\n"
        "EXPORTER_MEMORY=1 gigabyte\n"
    )
    found = settings.judge(Stack(tmp_path))
    assert (found.subject, found.ok) == ("settings", False)
    assert found.message.replace(f"{tmp_path}/.env:", "").splitlines() == [
        "1: GRAFANA_PROT: unknown setting; did you mean GRAFANA_PORT?",
        "2: GRAFANA_URL: is read from the environment of `make deploy`, or is one of `links` in docker/alerting.yml",
        "6: ALERTMANAGER_PORT=70000: not a port",
        "3: EXPORTER_PORT=0: not a port",
        "7: PROMETHEUS_RETENTION=30 days: not a duration such as 12h, 30d or 1y",
        "4: PROMETHEUS_RETENTION_SIZE=10: not a size such as 512MB or 10GB",
        "10: EXPORTER_MEMORY=1 gigabyte: not a size such as 512m or 2g",
        "5: POSTGRES_MEMORY=512: no container starts with less than 6m; units are k, m and g",
        "9: TRACES_URL=jaeger:16686: not an address with http:// or https://",
        "8: LOGS_RETENTION=2 weeks: not a duration such as 14d or 1y",
    ]


@pytest.mark.parametrize("memory", ["512m", "1GB", "1gb", "0.5G", "2 GiB", "6291456", "8192kb"])
def test_memory_is_given_as_docker_takes_it(tmp_path: Path, memory: str) -> None:
    (tmp_path / ".env").write_text(f"EXPORTER_MEMORY={memory}\n")
    assert settings.judge(Stack(tmp_path)).ok


def test_two_services_with_one_port_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GRAFANA_PORT=9090\nEXPORTER_PORT=5000\n")
    assert settings.judge(Stack(tmp_path)).message == (
        f"{tmp_path}/.env:1: GRAFANA_PORT=9090: is the port of PROMETHEUS_PORT as well"
    )
    # Only what is published counts.
    assert settings.judge(Stack(tmp_path, overlays=["demo"])).message.splitlines()[:1] == [
        f"{tmp_path}/.env:2: EXPORTER_PORT=5000: is the port of MLFLOW_PORT as well"
    ]


def test_alerting_settings_are_tried_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "alerting.yml").write_text("alerts:\n  MlflowRunHangs: {for: 17m}\n")
    (found,) = [result for result in preflight.check(Stack(tmp_path)) if result.subject == "alerting"]
    assert not found.ok
    assert found.message == (
        f"{tmp_path}/alerting.yml:2: alerts.MlflowRunHangs: no alert has this name; did you mean MlflowRunHanging?"
    )


@pytest.mark.parametrize("broken", [Path.mkdir, lambda path: path.symlink_to("nowhere")], ids=["folder", "link"])
def test_alerting_settings_that_are_no_file_are_said(tmp_path: Path, broken: Callable[[Path], None]) -> None:
    broken(tmp_path / "alerting.yml")
    (found,) = [result for result in preflight.check(Stack(tmp_path)) if result.subject == "alerting"]
    what = "is a folder" if (tmp_path / "alerting.yml").is_dir() else "leads nowhere"
    assert (found.ok, found.message) == (False, f"{tmp_path}/alerting.yml: {what}; it must be a file")


def test_files_that_alertmanager_would_not_see_are_named_with_where_they_must_be(tmp_path: Path) -> None:
    own, channels = tmp_path / "alerting.yml", tmp_path / "secrets" / "channels"
    own.write_text(
        "notifications:\n"
        "  # password_file: /run/secrets/old\n"
        "  alert_log_token_file: /run/secrets/alertlog_token\n"
        "  channels:\n"
        "    mail: {kind: email, username: a, password_file: /run/secrets/smtp}\n"
        "    chat:\n"
        "      api_url_file: '/etc/chat/url' # as on the other machine\n"
    )
    assert list(secrets.wrong_of_channels(Stack(tmp_path))) == [
        f"{own}:5: password_file: there is no {channels}/smtp, which Alertmanager would see as /run/secrets/smtp",
        f"{own}:7: api_url_file: no container sees /etc/chat/url: put it into {channels}/, and give /run/secrets/url",
    ]
    # Those of a backup come with it.
    for restoring in (False, True):
        results = preflight.check(Stack(tmp_path), restoring=restoring)
        (found,) = [result for result in results if result.subject == "alerting"]
        assert ("smtp" in found.message) is not restoring
    channels.mkdir(parents=True)
    (channels / "smtp").write_text("x")
    assert len(list(secrets.wrong_of_channels(Stack(tmp_path)))) == 1
    (tmp_path / "mine.yaml").touch()
    assert list(secrets.wrong_of_channels(Stack(tmp_path, overlays=[str(tmp_path / "mine.yaml")]))) == []


def test_secrets_of_channels_that_cannot_be_used_are_named_and_not_shown(tmp_path: Path) -> None:
    own, channels = tmp_path / "alerting.yml", tmp_path / "secrets" / "channels"
    channels.mkdir(parents=True)
    given = {
        "api_url_file": "hooks.slack.com/x\n",
        "webhook_url_file": "secret",
        "url_file": "\n",
        "routing_key_file": " ",
        "credentials_file": "a/b",
        "bot_token_file": "",
    }
    own.write_text("".join(f"{setting}: /run/secrets/{setting}\n" for setting in given))
    for setting, content in given.items():
        (channels / setting).write_text(content)
    assert list(secrets.wrong_of_channels(Stack(tmp_path))) == [
        f"{own}:1: api_url_file: {channels}/api_url_file has no scheme: put http:// or https:// in front",
        f"{own}:2: webhook_url_file: {channels}/webhook_url_file is not an http:// or https:// address",
        f"{own}:3: url_file: {channels}/url_file is empty",
        f"{own}:4: routing_key_file: {channels}/routing_key_file is empty",
        f"{own}:6: bot_token_file: {channels}/bot_token_file is empty",
    ]
    (channels / "api_url_file").write_text("https://hooks.slack.com/x\n")
    assert len(list(secrets.wrong_of_channels(Stack(tmp_path)))) == 4


def test_secrets_that_are_empty_or_no_address_of_a_database_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "mlflow_uri").write_text("db.example:5432/mlflow")
    (folder / "grafana_admin_password").write_text("\n")
    (folder / "monitor_password").write_text("x")
    # Of an overlay.
    (folder / "variants_uri").touch()
    (found,) = [result for result in preflight.check(Stack(tmp_path)) if result.subject == "secrets"]
    assert (found.ok, found.message.splitlines()) == (
        False,
        [
            f"{folder}/mlflow_uri: must begin with postgresql://, mysql:// or sqlite:///",
            f"{folder}/grafana_admin_password: is empty",
        ],
    )
    (folder / "mlflow_uri").write_text("mysql+pymysql://db.example/mlflow\n")
    (folder / "grafana_admin_password").unlink()
    assert list(secrets.unusable(Stack(tmp_path))) == []
    assert list(secrets.unusable(Stack(tmp_path, overlays=["variants"]))) == [f"{folder}/variants_uri: is empty"]
    # Those of a backup come with it.
    results = preflight.check(Stack(tmp_path, overlays=["variants"]), restoring=True)
    assert "secrets" not in {result.subject for result in results}


def test_lists_of_targets_are_tried_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stack, "targets", tmp_path)
    (tmp_path / "good.yml").write_text("- targets: [a:1]\n")
    (tmp_path / "other.yaml").touch()
    (tmp_path / "wrong.yml").write_text("- target: [a:1]\n")

    def found(*overlays: str) -> list[Result]:
        return [each for each in preflight.check(Stack(tmp_path, overlays=overlays)) if each.subject == "targets"]

    unread = Result("targets", True, f"{tmp_path}/other.yaml: is not read: Prometheus reads *.yml here", warning=True)
    assert found() == [
        Result("targets", False, f"{tmp_path}/wrong.yml:1: target: unknown key; did you mean targets?"),
        unread,
    ]
    # Which mounts its own in their place.
    assert found("demo") == [unread]
    (tmp_path / "wrong.yml").write_text("- targets: [a]\n")
    said = f"{tmp_path}/wrong.yml:1: targets: a: has no port: that of http or https is taken, 80 or 443"
    assert found() == [Result("targets", True, said, warning=True), unread]


def test_passwords_among_the_settings_and_files_of_another_name_are_said(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=x\nRENDERER_TOKEN=x\n")
    (tmp_path / "alerting.yaml").touch()
    results = {result.subject: result for result in preflight.check(Stack(tmp_path))}
    assert results["settings"].message.splitlines() == [
        f"{tmp_path}/.env:1: POSTGRES_PASSWORD: unknown setting; passwords are files of {tmp_path}/secrets/",
        f"{tmp_path}/.env:2: RENDERER_TOKEN: unknown setting; passwords are files of {tmp_path}/secrets/",
    ]
    meant = f"{tmp_path}/alerting.yaml: is not read; did you mean {tmp_path}/alerting.yml?"
    assert results["alerting"] == Result("alerting", True, meant, warning=True)


@pytest.mark.parametrize("name", ["", "grafana:", "Grafana/grafana:13", "grafana 13", ":13", "a//b", "a:b@sha256:1"])
def test_what_is_no_name_of_an_image_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / ".env").write_text(f"\nGRAFANA_IMAGE={name}\n")
    assert settings.judge(Stack(tmp_path)).message == (
        f"{tmp_path}/.env:2: GRAFANA_IMAGE={name}: not the name of an image such as registry.example/postgres:17.2"
    )


@pytest.mark.parametrize(
    "name",
    ["grafana", "localhost:5000/a/b-c__d:v1.2_3", f"Registry.example/a:1@sha256:{'0a' * 32}", "host:80/a", "a/b"],
)
def test_names_of_images_are_those_that_the_engine_takes(tmp_path: Path, name: str) -> None:
    (tmp_path / ".env").write_text(f"GRAFANA_IMAGE={name}\n")
    assert settings.judge(Stack(tmp_path)).ok


def test_links_of_the_environment_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAFANA_URL", "grafana.example")
    monkeypatch.setenv("RUNBOOKS_URL", "x")
    monkeypatch.setenv("LOGS_URL", "https://logs.example")
    assert settings.judge(Stack(tmp_path)).message.splitlines() == [
        "GRAFANA_URL: has no scheme: put http:// or https:// in front",
        "RUNBOOKS_URL: is not an http:// or https:// address",
    ]


def test_lines_that_compose_would_read_in_another_way_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "\ufeffGRAFANA_PORT=3001\nBIND_ADDRESS=localhost\nGRAFANA_PORT=3002\nCOMPOSE_PROJECT_NAME=My Stack\n"
    )
    assert settings.judge(Stack(tmp_path)).message.replace(f"{tmp_path}/.env:", "").splitlines() == [
        "3: GRAFANA_PORT: is given in line 1 already; keep one of them",
        "4: COMPOSE_PROJECT_NAME: is --project of `python3 -m tools.deploy`",
        "2: BIND_ADDRESS=localhost: not an IP address; write 127.0.0.1 for this machine alone, 0.0.0.0 for everybody",
    ]


@pytest.mark.parametrize("name", ["My Stack", "-a", "", "a.b"])
def test_a_project_has_a_name_that_compose_takes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([f"--project={name}", "check"])
    why = "Compose takes small letters, digits, - and _, and a letter or digit first"
    assert capsys.readouterr().err.endswith(f"error: argument --project: {why}\n")


def test_versions_of_ones_own_and_pages_for_everybody_are_said(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTGRES_IMAGE=postgres:15\nBIND_ADDRESS=0.0.0.0\n")
    found = settings.judge(Stack(tmp_path))
    assert found.verdict == "warn"
    assert found.message == (
        f"{tmp_path}/.env; in place of the pinned version: POSTGRES_IMAGE;"
        " published on 0.0.0.0, where Prometheus and Alertmanager let everybody in"
    )
    (tmp_path / ".env").unlink()
    assert settings.judge(Stack(tmp_path)) == Result("settings", True, "defaults")


def test_overlays_are_found_by_name_or_path(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.touch()
    stack = Stack(tmp_path, overlays=["tls", str(own)])
    assert [path.name for path in stack.overlays] == ["compose.tls.yaml", "mine.yaml"]
    assert stack.has_overlay("tls")
    assert not stack.has_overlay("demo")
    with pytest.raises(DeployError, match=r"^WITH=tsl: there is no overlay of that name; did you mean tls\?$"):
        assert Stack(tmp_path, overlays=["tsl"]).overlays
    (tmp_path / ".env").write_text(f"\nWITH=tls {tmp_path}/nope.yaml\n")
    with pytest.raises(DeployError, match=r"^\S+/\.env:2: WITH=\S+/nope\.yaml: there is no such file$"):
        assert Stack(tmp_path).overlays


@pytest.mark.parametrize("names", ["tls,logs", "tls logs", " tls, logs ,"])
def test_overlays_are_given_alike_as_option_and_as_setting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: str
) -> None:
    main(["--folder", str(tmp_path), "--with", names, "check"])
    assert "defaults, with compose.tls.yaml, compose.logs.yaml\n" in capsys.readouterr().out
    (tmp_path / ".env").write_text(f"WITH={names}\n")
    assert [path.name for path in Stack(tmp_path).overlays] == ["compose.tls.yaml", "compose.logs.yaml"]


def test_runbooks_of_ones_own_are_mounted_where_the_exporter_looks(tmp_path: Path) -> None:
    assert Stack(tmp_path).overlays == []
    runbooks = tmp_path / "extensions" / "runbooks"
    runbooks.mkdir(parents=True)
    stack = Stack(tmp_path, overlays=["tls"])
    tls, own = stack.overlays
    assert own.name == "compose.extensions.yaml"
    # Also where the containers were made with it already.
    assert Stack(tmp_path, overlays=[str(own), str(tls)]).overlays == [own, tls]
    exporter = yaml.safe_load(own.read_text(encoding="utf-8"))["services"]["exporter"]
    (mount,) = exporter["volumes"]
    assert mount["source"].replace("${EXTENSIONS_DIR:-./extensions}", stack.environment["EXTENSIONS_DIR"]) == str(
        runbooks
    )
    # What the exporter makes of the variable.
    settings = DOCKER / "exporter" / "ml-monitoring.yml"
    environ = {**exporter["environment"], "ML_MONITORING_SOURCES__MLFLOW__URI": "sqlite:///mlflow.db"}
    assert load([settings], environ).web.runbooks_dir == Path(mount["target"])


def test_without_an_engine_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert main(["--folder", str(tmp_path), "up"]) == 1
    printed = capsys.readouterr()
    compose, docker, *others = printed.out.splitlines()
    assert "  compose  " in compose
    assert docker.startswith("FAIL  docker ")
    assert others == ["ok    settings        defaults"]
    assert printed.err == "Nothing was changed.\n"
    assert list(tmp_path.iterdir()) == []


def test_all_that_is_missing_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = shutil.which("git")
    assert git
    (tmp_path / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(tmp_path))
    compose, docker, settings = preflight.check(Stack(tmp_path))
    assert compose.subject == "compose"
    assert docker == Result(
        "docker", False, "docker is not installed: install an engine (package docker-ce or docker.io)"
    )
    assert settings.ok


def test_what_is_no_backup_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path} is no complete backup: it has no backup.json\n"


def test_the_backups_that_there_are_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("20261121T120629", "20261120T120000", "interrupted"):
        (tmp_path / "backups" / name).mkdir(parents=True)
        if name != "interrupted":
            (tmp_path / "backups" / name / "backup.json").touch()
    assert main(["--folder", str(tmp_path), "restore", ""]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: . is no complete backup: it has no backup.json",
        f"  FROM={tmp_path}/backups/20261120T120000",
        f"  FROM={tmp_path}/backups/20261121T120629",
    ]


def test_a_backup_without_one_of_its_files_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "backup.json").write_text(json.dumps({"format": 1, "stores": ["prometheus-data"]}))
    for name in ("mlflow.dump", "variants.dump", "secrets"):
        (tmp_path / name).touch()
    assert main(["restore", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path} is no complete backup: prometheus-data.tar is missing\n"


def test_a_backup_of_a_later_format_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "backup.json").write_text(json.dumps({"format": 2, "stores": []}))
    assert main(["restore", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path} has the format 2, which this release does not know\n"


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("postgres:17.11-bookworm", 17),
        ("postgres:15", 15),
        ("registry.example:5000/postgres:16-alpine", 16),
        ("postgres:17@sha256:0123", 17),
        ("registry.example:5000/postgres", None),
        ("postgres:latest", None),
    ],
)
def test_the_major_version_of_an_image_is_read_from_its_tag(image: str, version: int | None) -> None:
    assert database.version_of_tag(image) == version


def test_data_of_another_major_version_is_refused_with_the_way_to_upgrade() -> None:
    image, volume = "postgres:17.11-bookworm", "ml-monitoring_postgres-data"
    refused = database.judge(15, 17, image, volume)
    assert not refused.ok
    assert refused.message.splitlines() == [
        "the data is of PostgreSQL 15, and postgres:17.11-bookworm is 17, which cannot read it. To upgrade:",
        "1. POSTGRES_IMAGE=postgres:15 in docker/.env, make deploy, make backup, make down",
        "2. docker volume rm ml-monitoring_postgres-data",
        "3. take that line out of docker/.env again, make restore FROM=docker/backups/<time>",
    ]
    assert not database.judge(None, 18, "postgres:18", volume).ok
    for old, new in ((17, 17), (None, 17), (17, None)):
        assert database.judge(old, new, image, volume).ok


GIB = 1024**3


def test_memory_that_overlays_want_is_warned_of() -> None:
    assert not preflight.judge_memory(3 * GIB, {}).ok
    assert preflight.judge_memory(4 * GIB, {}).verdict == "ok"
    tight = preflight.judge_memory(6 * GIB, {"demo": 4 * GIB})
    assert (tight.verdict, tight.message) == (
        "warn",
        "6.0 GiB; with demo, 8.0 GiB are wanted: the engine may end busy containers",
    )
    assert preflight.judge_memory(8 * GIB, {"demo": 4 * GIB}).verdict == "ok"


def test_a_disk_that_prometheus_may_fill_is_warned_of() -> None:
    root = Path("/var/lib/docker")
    assert not preflight.judge_disk(4 * GIB, 0, root).ok
    assert preflight.judge_disk(14 * GIB, preflight.size("10GB"), root).verdict == "warn"
    assert preflight.judge_disk(15 * GIB, preflight.size("10GB"), root).verdict == "ok"
    assert [preflight.size(text) for text in ("512MB", "1TB", "0B", "10")] == [512 * 1024**2, 1024**4, 0, 0]


def test_certificates_are_judged_by_what_is_left_of_them(tmp_path: Path) -> None:
    assert certificates.check_files(tmp_path).message == "to be made: there is no ca_certificate yet"
    replace_certificate(tmp_path, days=12)
    found = certificates.check_files(tmp_path)
    assert found.message == "authority good for 3650 days, certificate good for 12 days; renewed now: certificate"
    now = time.time()
    ends = {"authority": now + 3000 * 86400, "certificate": now + 29.6 * 86400}
    seen = json.dumps(
        {"ends": {name: time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(end)) for name, end in ends.items()}}
    )
    soon = certificates.judge(seen, now)
    assert soon.verdict == "warn"
    assert soon.message.endswith(
        "certificate good for 30 days; renew with make deploy, or docker/make-certificates.sh from cron"
    )
    assert certificates.judge(seen, now - 86400).verdict == "ok"


def test_an_old_secret_is_recognised_by_its_checksum(tmp_path: Path) -> None:
    (tmp_path / "a_password").write_text("new")
    (tmp_path / "b_uri").write_text("same")
    service = {"secrets": [{"source": "a_password", "target": "/run/secrets/a_password"}, {"source": "b_uri"}]}
    new = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437  a_password\n"
    same = "0967115f2813a3541eaef77de9d9d5773f1c0c04314b0bbfe4ff3b3b1c55b5d5  b_uri\n"
    assert not secrets.differ(new + same, service, tmp_path)
    assert secrets.differ(new.replace("1", "2") + same, service, tmp_path)
    assert secrets.differ(same, service, tmp_path)


def test_what_is_public_is_opened_and_what_is_private_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    for name in ("compose.yaml", "postgres/10-roles.sql", "secrets/password", ".env"):
        (docker / name).parent.mkdir(parents=True, exist_ok=True)
        (docker / name).touch(mode=0o600)
    (docker / "make-secrets.sh").touch(mode=0o700)
    for folder in (docker, docker / "postgres", docker / "secrets"):
        folder.chmod(0o700)
    monkeypatch.setattr(readable, "_FOLDERS", (docker,))
    monkeypatch.setattr(readable, "DOCKER", docker)
    assert readable.make_readable() == 5
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (docker, *docker.rglob("*"))} == {
        "docker": "0o705",
        "compose.yaml": "0o604",
        "make-secrets.sh": "0o705",
        "postgres": "0o705",
        "10-roles.sql": "0o604",
        "secrets": "0o700",
        "password": "0o600",
        ".env": "0o600",
    }
    assert readable.make_readable() == 0
