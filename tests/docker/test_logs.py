"""The overlay `logs`: who reaches the Docker socket, what becomes a label, and that its parts fit each other."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.files import DOCKER, ROOT, read_yaml
from tests.support.logql import parsed

BASE: dict[str, Any] = read_yaml(DOCKER / "compose.yaml")["services"]
OVERLAY: dict[str, Any] = read_yaml(DOCKER / "compose.logs.yaml")
SERVICES: dict[str, Any] = OVERLAY["services"]
PROXY = (DOCKER / "logs" / "haproxy.cfg").read_text(encoding="utf-8")
ALLOY = (DOCKER / "logs" / "config.alloy").read_text(encoding="utf-8")
LOKI: dict[str, Any] = read_yaml(DOCKER / "logs" / "loki.yaml")
LABELS = ["project", "service", "container", "level"]


def test_only_the_proxy_has_the_docker_socket_and_only_alloy_reaches_the_proxy() -> None:
    everything = {**BASE, **{name: BASE.get(name, {}) | service for name, service in SERVICES.items()}}
    with_socket = [
        name for name, service in everything.items() if any("docker.sock" in v for v in service.get("volumes", []))
    ]
    assert with_socket == ["docker-proxy"]
    assert SERVICES["docker-proxy"]["networks"] == ["docker-api"]
    assert OVERLAY["networks"] == {"docker-api": {"internal": True}}
    for path in DOCKER.glob("compose*.yaml"):
        members = [name for name, one in read_yaml(path)["services"].items() if "docker-api" in one.get("networks", [])]
        assert members == (["docker-proxy", "alloy"] if path.name == "compose.logs.yaml" else [])
    assert not any("ports" in service for service in SERVICES.values())


def test_nobody_is_root() -> None:
    users = {name: service["user"] for name, service in SERVICES.items() if name not in BASE}
    assert users.keys() == {"docker-proxy", "loki", "alloy"}
    assert all(re.match(r"[1-9]\d*:", user) for user in users.values())


def test_the_services_are_as_closed_as_the_others() -> None:
    for name in SERVICES.keys() - BASE.keys():
        for key in ("restart", "read_only", "cap_drop", "security_opt", "pids_limit", "logging"):
            assert SERVICES[name][key] == BASE["prometheus"][key], (name, key)
        assert {"test", "interval", "timeout", "retries", "start_period"} == SERVICES[name]["healthcheck"].keys()


def known_path() -> re.Pattern[str]:
    (pattern,) = re.findall(r"^ *acl known path -m reg (\S+)$", PROXY, re.MULTILINE)
    return re.compile(pattern)


def test_the_proxy_refuses_all_but_reads_of_what_alloy_asks_for() -> None:
    lines = [line.strip() for line in PROXY.splitlines()]
    assert "acl reads method GET HEAD" in lines
    # The only rule of its kind, and nothing before it lets a request through.
    assert [line for line in lines if line.startswith(("http-request deny", "http-request allow"))] == [
        "http-request deny deny_status 403 unless reads known"
    ]
    known = known_path()
    for path in ("/_ping", "/containers/json", "/v1.51/containers/a-b_c.1/logs", "/containers/f00/json", "/networks"):
        assert known.search(path), path
    for path in (
        "/containers/json/../../images/json",
        "/containers/../images/json",
        "/containers/%2e%2e/images/json",
        "/containers/f00/archive",
        "/containers/f00/export",
        "/containers/f00/attach/ws",
        "/containers/f00/json/",
        "//containers/json",
        "/v1.51/info",
        "/version",
        "/images/json",
        "/secrets",
    ):
        assert not known.search(path), path


def test_labels_are_a_small_closed_set() -> None:
    (kept,) = re.findall(r"stage\.label_keep \{\s*values = \[(.*?)\]", ALLOY)
    assert re.findall(r'"(\w+)"', kept) == LABELS
    # Those that a container gets, and the level that its lines get.
    assert set(re.findall(r'target_label *= "(\w+)"', ALLOY)) | {"level"} == set(LABELS)
    limits = LOKI["limits_config"]
    assert len(LABELS) <= limits["max_label_names_per_series"]
    # Loki would make labels of its own otherwise.
    assert limits["discover_service_name"] == []
    assert limits["discover_log_levels"] is False


def level_of(line: str) -> str:
    """Return the level that the stages of config.alloy give a line; they are tried in the order of the file."""
    stages = re.findall(
        r'selector = `\{level="unknown"\} \|~ "((?:[^"\\]|\\.)*)"`\s+stage\.static_labels \{\s+'
        r'values = \{level = "(\w+)"\}',
        ALLOY,
    )
    assert len(stages) == ALLOY.count("stage.match {")
    for pattern, level in stages:
        # LogQL unquotes the text once.
        if re.search(re.sub(r"\\(.)", r"\1", pattern), line):
            return str(level)
    return "unknown"


# As the stack's own containers write them.
@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('time=2026-11-21T11:00:01.456Z level=INFO source=main.go:1234 msg="Server is ready."', "info"),
        ('ts=2026-11-21T11:00:01.456Z caller=main.go:1 level=warn msg="ERROR is a word in a text"', "warning"),
        ("2026-11-21T11:00:00Z level=error msg=failed source=mlflow", "error"),
        ('{"time": "2026-11-21T11:00:00Z", "level": "error", "msg": "failed"}', "error"),
        ('{"severity":"CRITICAL","message":"down"}', "critical"),
        ("logger=sqlstore t=2026-11-21T11:00:00Z level=dbug msg=x", "unknown"),
        ("logger=sqlstore t=2026-11-21T11:00:00Z level=debug msg=x", "debug"),
        ("2026-11-21 11:00:00.123 UTC [27] LOG:  checkpoint starting: time", "info"),
        ('2026-11-21 11:00:00.123 UTC [31] ERROR:  relation "runs" does not exist at character 15', "error"),
        ("2026-11-21 11:00:00.123 UTC [31] STATEMENT:  select ERROR from runs", "error"),
        ("2026-11-21 11:00:00.123 UTC [33] FATAL:  password authentication failed", "critical"),
        ('INFO:     127.0.0.1:50000 - "GET /health HTTP/1.1" 200 OK', "info"),
        ("2026/11/21 11:00:00 WARNING mlflow.store.db: schema is old", "warning"),
        ("Traceback (most recent call last):", "error"),
        ("level=warning msg=refused method=POST path=/containers/create status=403 client=172.18.0.3", "warning"),
        ("something that says nothing of a level", "unknown"),
        ("information on INFORMATION", "unknown"),
    ],
)
def test_a_line_gets_its_level(line: str, level: str) -> None:
    assert level_of(line) == level


def test_what_is_too_old_for_loki_is_left_out_before() -> None:
    (oldest,) = re.findall(r'older_than *= "(\d+)h"', ALLOY)
    assert LOKI["limits_config"]["reject_old_samples_max_age"] == "7d"
    assert int(oldest) < 7 * 24


def test_loki_deletes_what_is_older_than_the_setting() -> None:
    assert LOKI["compactor"]["retention_enabled"] is True
    assert LOKI["compactor"]["delete_request_store"] == "filesystem"
    assert "-store.retention=${LOGS_RETENTION:-14d}" in SERVICES["loki"]["command"]
    assert LOKI["analytics"] == {"reporting_enabled": False}
    assert "--disable-reporting" in SERVICES["alloy"]["command"]


def test_everything_that_is_addressed_is_a_service_on_the_same_network() -> None:
    (datasource,) = read_yaml(DOCKER / "logs" / "datasource.yaml")["datasources"]
    assert (datasource["uid"], datasource["type"], datasource["editable"]) == ("loki", "loki", False)
    scraped = [address for entry in read_yaml(DOCKER / "logs" / "targets.yml") for address in entry["targets"]]
    addressed = [("grafana", urlsplit(datasource["url"]))]
    addressed += [("prometheus", urlsplit(f"//{address}")) for address in scraped]
    addressed += [("alloy", urlsplit(url)) for url in re.findall(r'(?:host|url) *= "(\S+)"', ALLOY)]
    listening = {
        "loki": {LOKI["server"]["http_listen_port"]},
        "alloy": {int(SERVICES["alloy"]["command"][3].rpartition(":")[2])},
        "docker-proxy": {int(port) for port in re.findall(r"^ *bind :(\d+)$", PROXY, re.MULTILINE)},
    }
    assert len(addressed) == 6
    for client, url in addressed:
        assert url.port in listening[str(url.hostname)], url
        networks = {**BASE, **SERVICES}[client].get("networks") or BASE[client]["networks"]
        assert set(networks) & set(SERVICES[str(url.hostname)]["networks"]), (client, url)


def test_overlays_put_their_files_in_place_of_empty_ones() -> None:
    # A file inside a folder that is mounted read-only can only take the place of one that is there.
    folders = {
        "/etc/overlays": DOCKER / "prometheus" / "overlays",
        "/etc/grafana/provisioning": DOCKER / "grafana" / "provisioning",
    }
    for name in ("prometheus", "grafana"):
        (mount,) = SERVICES[name]["volumes"]
        source, target, mode = mount.split(":")
        assert mode == "ro"
        (here,) = (folder / target.removeprefix(f"{place}/") for place, folder in folders.items() if place in target)
        assert (DOCKER / source).is_file()
        assert read_yaml(here) in ([], {"apiVersion": 1, "datasources": []})
    config = read_yaml(ROOT / "alerting" / "generated" / "prometheus.yml")
    (services,) = (job for job in config["scrape_configs"] if job["job_name"] == "services")
    assert services["file_sd_configs"] == [{"files": ["/etc/targets/*.yml", "/etc/overlays/*.yml"]}]
    assert "./prometheus/overlays:/etc/overlays:ro" in BASE["prometheus"]["volumes"]


def test_detection_of_levels_is_logql() -> None:
    selectors = re.findall(r"selector = `(.*)`", ALLOY)
    assert [(one["errors"], one["labels"]) for one in parsed(selectors)] == [([], ["level"])] * len(selectors)
    # Alloy's own parser reads no other kind of string than this.
    assert all(re.fullmatch(r'\{level="unknown"\} \|~ "(?:[^"\\]|\\.)*"', selector) for selector in selectors)
