"""The overlay `scale`: it fits the stack that it is laid over, and the configuration that goes with it."""

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.files import DOCKER, ROOT, VARIABLE, read_env, read_yaml, with_defaults

BASE: dict[str, Any] = read_yaml(DOCKER / "compose.yaml")["services"]
OVERLAY: dict[str, Any] = read_yaml(DOCKER / "compose.scale.yaml")["services"]
GENERATED = ROOT / "alerting" / "generated"
VICTORIA = OVERLAY["victoriametrics"]


def test_prometheus_starts_as_in_the_stack_but_for_its_configuration() -> None:
    changed = [line.replace("/prometheus-scale.yml", "/prometheus.yml") for line in OVERLAY["prometheus"]["command"]]
    assert changed == BASE["prometheus"]["command"]
    assert changed != OVERLAY["prometheus"]["command"]
    assert OVERLAY["prometheus"].keys() == {"command"}


def test_the_configuration_is_the_stacks_own_and_writes_to_the_service(programs: dict[str, Path]) -> None:
    config = read_yaml(GENERATED / "prometheus-scale.yml")
    (target,) = config.pop("remote_write")
    assert config == read_yaml(GENERATED / "prometheus.yml")
    address = urlsplit(target["url"])
    assert address.hostname in OVERLAY
    assert f"-httpListenAddr=:{address.port}" in VICTORIA["command"]
    assert address.path == "/api/v1/write"
    checked = subprocess.run(
        [programs["promtool"], "check", "config", GENERATED / "prometheus-scale.yml"], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_the_service_is_as_closed_as_the_others() -> None:
    for key in ("restart", "read_only", "cap_drop", "security_opt", "logging"):
        assert VICTORIA[key] == BASE["prometheus"][key], key
    assert {"mem_limit", "pids_limit", "healthcheck"} <= VICTORIA.keys()
    # Prometheus and Grafana reach it, and nobody else: it asks nobody who they are.
    assert "ports" not in VICTORIA
    assert VICTORIA["networks"] == ["monitoring"]
    image = VARIABLE.fullmatch(VICTORIA["image"])
    assert image is not None
    assert image["name"] in read_env(DOCKER / "versions.env")
    retention = [with_defaults(part) for part in VICTORIA["command"] if part.startswith("-retentionPeriod=")]
    assert all(re.fullmatch(r"-retentionPeriod=\d+[dwMy]?", part) for part in retention)


def test_grafana_keeps_its_data_sources_and_gets_one_more() -> None:
    (mount,) = OVERLAY["grafana"]["volumes"]
    source, target, mode = mount.split(":")
    assert mode == "ro"
    # A file inside a folder that is mounted read-only can only take the place of one that is there.
    folder = "/etc/grafana/provisioning"
    assert f"./grafana/provisioning:{folder}:ro" in BASE["grafana"]["volumes"]
    replaced = DOCKER / "grafana" / "provisioning" / target.removeprefix(f"{folder}/")
    before, after = read_yaml(replaced)["datasources"], read_yaml(DOCKER / source)["datasources"]
    assert after[:-1] == before
    added = after[-1]
    assert urlsplit(added["url"]).hostname in OVERLAY
    assert added["type"] == "prometheus"
    assert added["jsonData"]["timeInterval"] == before[0]["jsonData"]["timeInterval"]
    assert added["uid"] not in {each["uid"] for each in before}
