import json
import re
import ssl
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.exporter import __version__
from ml_monitoring.exporter.config import load
from tests.support.certificates import make_certificates
from tests.support.files import DOCKER, ROOT, VARIABLE, pins, read_env, read_yaml, with_defaults

COMPOSE: dict[str, Any] = read_yaml(DOCKER / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OVERLAYS: dict[str, dict[str, Any]] = {
    path.name.split(".")[1]: read_yaml(path) for path in sorted(DOCKER.glob("compose.*.yaml"))
}
FILES = [DOCKER / "compose.yaml", *sorted(DOCKER.glob("compose.*.yaml"))]
# Every service with where it is first described.
ADDED = {
    name: service
    for overlay in OVERLAYS.values()
    for name, service in overlay["services"].items()
    if name not in SERVICES
}
NETWORKS = set(COMPOSE["networks"]).union(*(overlay.get("networks", {}) for overlay in OVERLAYS.values()))
VERSIONS = read_env(DOCKER / "versions.env")
GENERATED = ROOT / "alerting" / "generated"

CERTIFICATES = {"ca_certificate", "exporter_certificate", "exporter_key"}

every_service = pytest.mark.parametrize("name", SERVICES)


def binds(name: str) -> dict[str, tuple[Path, str]]:
    """Return what of the repository a service sees: path in the container to path here and mode."""
    found = {}
    for volume in SERVICES[name].get("volumes", []):
        source, target, *mode = with_defaults(volume).split(":")
        if source.startswith("."):
            found[target] = ((DOCKER / source).resolve(), "".join(mode))
    return found


def variables(text: str) -> dict[str, str | None]:
    """Return the variables that a text names, each with its default."""
    return {match["name"]: match["rest"] if match["kind"] == "-" else None for match in VARIABLE.finditer(text)}


@pytest.mark.parametrize("image", VERSIONS.values())
def test_every_version_is_pinned(image: str) -> None:
    # Two numbers at least: a tag like 17 or v3 moves.
    assert re.fullmatch(r"[a-z./-]+:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", image)


@every_service
def test_images_come_from_the_versions_file_or_are_built_here(name: str) -> None:
    image = SERVICES[name]["image"]
    if image == "ml-monitoring/exporter:local":
        # Built by one service: two builds make two images, and every deployment would recreate one of them.
        assert ("build" in SERVICES[name]) == (name == "exporter")
        assert SERVICES[name].get("pull_policy") == (None if name == "exporter" else "never")
    if "build" in SERVICES[name]:
        assert (DOCKER / SERVICES[name]["build"]["context"] / SERVICES[name]["build"]["dockerfile"]).is_file()
    elif image != "ml-monitoring/exporter:local":
        match = VARIABLE.fullmatch(image)
        assert match is not None
        assert match["name"] in VERSIONS
        # Without the versions file nothing may start, least of all another version.
        assert match["kind"] == "?"


def test_every_pinned_image_is_used() -> None:
    assert set(VERSIONS) <= {name for path in FILES for name in variables(path.read_text(encoding="utf-8"))}


def test_the_image_is_built_on_the_pinned_base_also_without_compose() -> None:
    dockerfile = (DOCKER / "exporter.Dockerfile").read_text(encoding="utf-8")
    assert f"\nARG PYTHON_IMAGE={VERSIONS['PYTHON_IMAGE']}\n" in dockerfile
    assert re.findall(r"^FROM (\S+)", dockerfile, flags=re.MULTILINE) == ["${PYTHON_IMAGE}"] * 3


def test_the_build_context_is_what_the_images_are_made_of_only() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "*",
        "!pyproject.toml",
        "!setup.py",
        "!MANIFEST.in",
        "!README.md",
        "!LICENSE",
        "!docker/exporter/*requirements.txt",
        "!docker/demo",
        "!ml_monitoring",
        "!exporter",
        "!alerting",
        "!dashboards",
        "!k8s",
        "!instrument/src",
        "!demo",
        "**/__pycache__",
    ]


@every_service
def test_ports_are_published_on_loopback_by_default(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("${BIND_ADDRESS:-127.0.0.1}:${")
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", with_defaults(port))


def test_the_database_is_not_published_and_has_no_way_out() -> None:
    assert "ports" not in SERVICES["postgres"]
    assert SERVICES["postgres"]["networks"] == ["data"]
    assert COMPOSE["networks"]["data"] == {"internal": True}


@every_service
def test_what_is_mounted_exists_and_is_read_only(name: str) -> None:
    for source, mode in binds(name).values():
        # Secrets are made by the first deployment.
        assert source.exists() or source.parent == DOCKER / "secrets", source
        assert mode == "ro"
    for volume in map(with_defaults, SERVICES[name].get("volumes", [])):
        start, _target, *rest = volume.split(":")
        # Of the machine itself only node-exporter sees anything, and can change nothing.
        assert (
            start.startswith(".")
            or start in COMPOSE["volumes"]
            or (name == "node-exporter" and start.startswith("/") and rest == ["ro"])
        )


@every_service
def test_no_service_is_more_than_it_must_be(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["pids_limit"] == 256
    assert re.fullmatch(r"\d+[mg]", with_defaults(service["mem_limit"]))
    # Else a service may take as much again of the machine's swap.
    assert service["memswap_limit"] == service["mem_limit"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert not {"privileged", "network_mode", "pid", "cap_add", "container_name"} & set(service)
    assert set(service["networks"]) <= set(COMPOSE["networks"])


@every_service
def test_secrets_come_from_files(name: str) -> None:
    service = SERVICES[name]
    given = set(service.get("secrets", []))
    assert given <= set(COMPOSE["secrets"])
    for variable, value in service.get("environment", {}).items():
        if re.search(r"PASS|SECRET|TOKEN|__URI", variable):
            assert variable.endswith("_FILE")
            assert value.startswith("/run/secrets/")
            assert value.removeprefix("/run/secrets/") in given
    assert "password" not in " ".join(service.get("command", [])).lower()


def test_every_secret_is_granted_and_made(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    subprocess.run([DOCKER / "make-secrets.sh", folder], check=True, capture_output=True)
    # Alertmanager's own folder holds what others have too.
    files = [path for path in (*folder.iterdir(), *(folder / "channels").iterdir()) if path.is_file()]
    made = {path.name: path.read_text(encoding="ascii") for path in files}
    places = {path.name: f"./secrets/{path.relative_to(folder)}" for path in files}
    declared: dict[str, Any] = {}
    granted: set[str] = set()
    for file in (COMPOSE, *OVERLAYS.values()):
        declared |= file.get("secrets", {})
        granted |= {secret for service in file["services"].values() for secret in service.get("secrets", [])}
    assert granted == set(declared)
    expected = {name: places.get(name, f"./secrets/{name}") for name in declared}
    assert {name: with_defaults(secret["file"]) for name, secret in declared.items()} == expected
    assert places["alertlog_token"] == "./secrets/channels/alertlog_token"
    # Certificates are made by a script of their own.
    assert granted - CERTIFICATES == set(made)
    passwords = [value for name, value in made.items() if not name.endswith("_uri")]
    assert len(set(passwords)) == len(passwords) == 12
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", password) for password in passwords)
    assert made["mlflow_uri"] == f"postgresql://exporter:{made['exporter_password']}@postgres:5432/mlflow"
    assert made["variants_uri"] == f"postgresql://exporter:{made['exporter_password']}@postgres:5432/variants"
    assert made["mlflow_writer_uri"].endswith(f"//mlflow_writer:{made['mlflow_writer_password']}@postgres:5432/mlflow")
    # Containers run as users of their own; other users of this machine must not get that far.
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in files} == {0o444}


def test_secrets_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / "exporter_password").write_text("mine", encoding="ascii")
    for _again in range(2):
        subprocess.run([DOCKER / "make-secrets.sh", tmp_path], check=True, capture_output=True)
    assert (tmp_path / "exporter_password").read_text(encoding="ascii") == "mine"
    assert "//exporter:mine@" in (tmp_path / "mlflow_uri").read_text(encoding="ascii")


def test_secrets_and_settings_are_never_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/docker/secrets/", "/docker/.env"} <= set(ignored)


def test_the_example_settings_are_the_defaults() -> None:
    used = variables((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    # Folders that `make deploy` and tests put in; nobody sets them.
    internal = {"GENERATED_DIR", "DASHBOARDS_DIR", "SECRETS_DIR", "REVISION"}
    settings = {name: default for name, default in used.items() if name not in {*VERSIONS, *internal}}
    # WITH is of the tool that calls Compose.
    assert settings | {"WITH": ""} == read_env(DOCKER / ".env.example")


@every_service
def test_every_service_has_a_health_check(name: str) -> None:
    if "build" in SERVICES[name]:
        assert "\nHEALTHCHECK " in (DOCKER / "exporter.Dockerfile").read_text(encoding="utf-8")
    else:
        assert {"test", "interval", "timeout", "retries", "start_period"} == set(SERVICES[name]["healthcheck"])
    for condition in SERVICES[name].get("depends_on", {}).values():
        assert condition == {"condition": "service_healthy"}


def test_prometheus_and_alertmanager_read_what_is_generated() -> None:
    assert binds("prometheus")["/etc/prometheus"] == (GENERATED, "ro")
    assert binds("alertmanager")["/etc/alertmanager"] == (GENERATED, "ro")
    assert "--config.file=/etc/prometheus/prometheus.yml" in SERVICES["prometheus"]["command"]
    assert "--config.file=/etc/alertmanager/alertmanager.yml" in SERVICES["alertmanager"]["command"]
    config = read_yaml(GENERATED / "prometheus.yml")
    for rules in config["rule_files"]:
        assert (GENERATED / rules).is_file()


def addresses(value: Any) -> list[str]:
    """Return every address of a Prometheus configuration."""
    if isinstance(value, dict):
        found = list(value["targets"]) if isinstance(value.get("targets"), list) else []
        return found + [address for child in value.values() for address in addresses(child)]
    return [address for child in value for address in addresses(child)] if isinstance(value, list) else []


def ports(name: str) -> set[str]:
    """Return the ports that a service listens on, as far as they are published."""
    # Of services that are not published, their check of health knows.
    check = re.search(r"127\.0\.0\.1:(\d+)", " ".join(SERVICES[name].get("healthcheck", {}).get("test", [])))
    found = {with_defaults(port).split(":")[-1] for port in SERVICES[name].get("ports", [])} or set()
    return found | ({check[1]} if check else set())


def test_everything_that_is_addressed_is_a_service_on_the_same_network() -> None:
    datasources = read_yaml(DOCKER / "grafana/provisioning/datasources/datasources.yaml")["datasources"]
    named = [("prometheus", address) for address in addresses(read_yaml(GENERATED / "prometheus.yml"))]
    named += [("grafana", datasource["url"].removeprefix("http://")) for datasource in datasources]
    named += [("postgres-exporter", SERVICES["postgres-exporter"]["environment"]["DATA_SOURCE_URI"].split("/")[0])]
    assert len(named) >= 10
    for client, address in named:
        server, port = address.split(":")
        assert port in ({"5432"} if server == "postgres" else ports(server)), address
        assert set(SERVICES[client]["networks"]) & set(SERVICES[server]["networks"]), address


def test_exemplars_lead_to_traces_where_the_settings_name_them_and_nowhere_else() -> None:
    datasources = read_yaml(DOCKER / "grafana/provisioning/datasources/datasources.yaml")["datasources"]
    (destination,) = datasources[0]["jsonData"]["exemplarTraceIdDestinations"]
    # Grafana makes a link of each of the two that is not empty.
    assert destination == {"name": "trace_id", "datasourceUid": "$TRACES_DATASOURCE_UID", "url": "$TRACES_URL"}
    environment = SERVICES["grafana"]["environment"]
    assert {name: with_defaults(environment[name]) for name in ("TRACES_DATASOURCE_UID", "TRACES_URL")} == {
        "TRACES_DATASOURCE_UID": "",
        "TRACES_URL": "",
    }
    assert "--enable-feature=exemplar-storage" in SERVICES["prometheus"]["command"]


def test_grafana_knows_the_scrape_interval_and_fixed_uids() -> None:
    datasources = read_yaml(DOCKER / "grafana/provisioning/datasources/datasources.yaml")["datasources"]
    by_type = {datasource["type"]: datasource for datasource in datasources}
    assert {kind: datasource["uid"] for kind, datasource in by_type.items()} == {
        "prometheus": "prometheus",
        "alertmanager": "alertmanager",
        "postgres": "variants",
    }
    scrape_interval = read_yaml(GENERATED / "prometheus.yml")["global"]["scrape_interval"]
    assert by_type["prometheus"]["jsonData"]["timeInterval"] == scrape_interval
    assert not any(datasource["editable"] for datasource in datasources)


def test_grafana_finds_the_generated_dashboards_in_folders() -> None:
    (provider,) = read_yaml(DOCKER / "grafana/provisioning/dashboards/dashboards.yaml")["providers"]
    assert provider["options"]["foldersFromFilesStructure"] is True
    assert "folder" not in provider
    source, _mode = binds("grafana")[provider["options"]["path"]]
    found = {path.relative_to(source).as_posix() for path in source.rglob("*.json")}
    assert found
    assert all(path.count("/") == 1 for path in found)


def test_grafana_opens_on_the_overview() -> None:
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    (provider,) = read_yaml(DOCKER / "grafana/provisioning/dashboards/dashboards.yaml")["providers"]
    source, _mode = binds("grafana")[provider["options"]["path"]]
    page = json.loads((source / home.relative_to(provider["options"]["path"])).read_text(encoding="utf-8"))
    assert page["title"] == "Operations overview"


def test_the_exporter_accepts_its_settings(tmp_path: Path) -> None:
    environment = dict(SERVICES["exporter"]["environment"])
    source, _mode = binds("exporter")["/etc/ml-monitoring"]
    config = source / Path(environment.pop("ML_MONITORING_CONFIG")).name
    uri = tmp_path / "mlflow_uri"
    uri.write_text("postgresql://exporter:secret@postgres:5432/mlflow", encoding="ascii")
    assert set(environment) == {"ML_MONITORING_SOURCES__MLFLOW__URI_FILE"}
    settings = load(config, dict.fromkeys(environment, str(uri)))
    assert (settings.web.host, str(settings.web.port)) == ("0.0.0.0", *ports("exporter"))
    assert list(settings.enabled_sources()) == ["mlflow"]
    for neighbour in (settings.prometheus, settings.alertmanager):
        assert neighbour is not None
        server, port = neighbour.url.removeprefix("http://").split(":")
        assert port in ports(server)


@pytest.mark.parametrize("name", ADDED)
def test_what_overlays_add_is_no_more_than_it_must_be(name: str) -> None:
    service = ADDED[name]
    assert service["read_only"] is True
    assert service["pids_limit"] <= 512
    assert re.fullmatch(r"\d+[mg]", with_defaults(service["mem_limit"]))
    # Else a service may take as much again of the machine's swap.
    assert service["memswap_limit"] == service["mem_limit"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert not {"privileged", "pid", "cap_add", "container_name"} & set(service)
    assert set(service.get("networks", [])) <= NETWORKS
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", with_defaults(port))
    written = json.dumps([service.get("environment"), service.get("command"), service.get("entrypoint")])
    for secret in re.findall(r"\w+(?:_password|_token|_uri|_key)\b", written):
        assert f"/run/secrets/{secret}" in written


def test_overlays_say_what_they_are_for() -> None:
    for path in FILES[1:]:
        name = path.name.split(".")[1]
        assert path.read_text(encoding="utf-8").startswith(f"# Overlay `{name}`: ")
        assert f"`{name}`" in (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_secrets_that_were_written_by_hand_can_be_read_by_containers_and_by_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = ["sh", "-c", f"umask 077; '{DOCKER}/make-secrets.sh' '{folder}'"]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "channels" / "smtp_password").touch(mode=0o600)
    (folder / "mlflow_uri").chmod(0o600)
    (folder / "ca_key").touch(mode=0o400)
    subprocess.run(command, check=True, capture_output=True)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    assert (modes.pop("secrets"), modes.pop("channels"), modes.pop("ca_key")) == (0o700, 0o755, 0o400)
    assert [name for name, mode in modes.items() if not mode & 0o004] == []


def test_certificates_are_made_once_and_lead_to_the_authority(tmp_path: Path) -> None:
    assert make_certificates(tmp_path).count("made ") == 4
    assert {path.name for path in tmp_path.iterdir()} >= CERTIFICATES
    assert (tmp_path / "ca_key").stat().st_mode & 0o777 == 0o400
    before = (tmp_path / "exporter_certificate").read_text()
    assert make_certificates(tmp_path) == ""
    assert (tmp_path / "exporter_certificate").read_text() == before
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca_certificate"))
    assert len(trust.get_ca_certs()) == 1
    show = ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", f"{tmp_path}/exporter_certificate"]
    names = subprocess.run(show, check=True, capture_output=True, text=True).stdout
    assert "DNS:exporter, DNS:localhost, IP Address:127.0.0.1" in names
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-CAfile",
        f"{tmp_path}/ca_certificate",
        f"{tmp_path}/exporter_certificate",
    ]
    subprocess.run(command, check=True, capture_output=True)


def test_certificates_of_a_new_authority_take_the_place_of_the_old_ones_in_the_same_files(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    before = {name: (tmp_path / name).stat().st_ino for name in CERTIFICATES}
    (tmp_path / "ca_certificate").chmod(0o644)
    (tmp_path / "ca_certificate").write_text("")
    assert make_certificates(tmp_path).count("made ") == 4
    # Containers have these files mounted: what is put beside them they would not see.
    assert {name: (tmp_path / name).stat().st_ino for name in CERTIFICATES} == before
    command = ["openssl", "verify", "-CAfile", f"{tmp_path}/ca_certificate", f"{tmp_path}/exporter_certificate"]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("image", ["exporter", "demo"])
def test_images_say_what_they_are(image: str) -> None:
    dockerfile = (DOCKER / f"{image}.Dockerfile").read_text(encoding="utf-8")
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', dockerfile))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert labels.pop("title").startswith("ml-monitoring")
    assert labels.pop("description")
    assert labels == {
        "source": project["urls"]["Source"],
        "version": __version__,
        "revision": "${REVISION}",
        "licenses": project["license"],
    }


def test_both_images_build_the_same_wheel() -> None:
    stages = [
        re.search(r"^FROM \S+ AS wheel$.*?(?=^FROM)", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for path in (DOCKER / "exporter.Dockerfile", DOCKER / "demo.Dockerfile")
    ]
    assert stages[0] is not None
    assert stages[1] is not None
    assert stages[0][0] == stages[1][0]


@pytest.mark.parametrize("image", ["exporter", "demo"])
def test_images_are_built_on_the_pinned_base_and_on_tested_versions(image: str) -> None:
    dockerfile = (DOCKER / f"{image}.Dockerfile").read_text(encoding="utf-8")
    assert f"\nARG PYTHON_IMAGE={VERSIONS['PYTHON_IMAGE']}\n" in dockerfile
    installed, tested = pins(DOCKER / image / "requirements.txt"), pins(ROOT / "requirements-dev.txt")
    assert pins(ROOT / "requirements.txt") <= installed <= tested
    # CSV and Parquet files are read alike.
    assert any(pin.startswith("pyarrow==") for pin in installed)


def test_grafana_starts_without_files_of_secrets_and_finds_every_folder_that_it_looks_into() -> None:
    provisioning = DOCKER / "grafana/provisioning"
    # Grafana's source: pkg/services/provisioning/*/config_reader.go; an error is logged for each that is missing.
    assert {"datasources", "plugins", "notifiers", "alerting", "dashboards"} == {
        folder.name for folder in provisioning.iterdir()
    }
    for path in provisioning.rglob("*"):
        # Other names are skipped with a warning; an empty file would be read as well.
        assert path.is_dir() or read_yaml(path)["apiVersion"] == 1, path
        assert path.is_dir() or "$__file{" not in path.read_text(encoding="utf-8"), path
    environment = SERVICES["grafana"]["environment"]
    # The entrypoint of Grafana's image (packaging/docker/run.sh) does so for each GF_..__FILE.
    assert environment["GF_VARIANTS_PASSWORD__FILE"] == "/run/secrets/grafana_reader_password"
    assert "grafana_reader_password" in SERVICES["grafana"]["secrets"]
    datasources = read_yaml(provisioning / "datasources/datasources.yaml")["datasources"]
    assert datasources[2]["secureJsonData"] == {"password": "$GF_VARIANTS_PASSWORD"}
