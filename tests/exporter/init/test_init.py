from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from ml_monitoring.alerting.generate.prometheus import JOB
from ml_monitoring.cli import main
from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.init import files
from ml_monitoring.exporter.init.answers import Answers, holds_secret, lacks_password, with_password
from ml_monitoring.exporter.init.text import text
from ml_monitoring.exporter.sources.mlflow import MlflowSettings
from ml_monitoring.exporter.sources.variants.settings import VariantsSettings
from tests.support.console import Console
from tests.support.fleet_files import line, write_csv
from tests.support.serving import ExporterProcess
from tests.support.variants_store import create_tables
from tools.postgres import PostgresServer
from tools.processes import free_port

ROOT = Path(__file__).resolve().parents[3]
INIT = (sys.executable, "-m", "ml_monitoring", "init")


def environment(**given: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ML_MONITORING_", "MLFLOW_"))}
    return {**kept, "PYTHONPATH": str(ROOT), **given}


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Init = Callable[..., Done]


@pytest.fixture
def init(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Init:
    """Give what runs the command in the folder, without a terminal."""
    for name in os.environ.keys() - environment().keys():
        monkeypatch.delenv(name)
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        return Done(main(["init", *arguments]), *capsys.readouterr())

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder whose path a shell has to be given in quotes."""
    (tmp_path / "it's a folder").mkdir()
    return tmp_path / "it's a folder"


@pytest.fixture(scope="module")
def guarded(postgres_server: PostgresServer) -> tuple[str, str]:
    """Give the address of variant tables without the password of their reader, and that password."""
    create_tables(postgres_server.create_database("init_store"))
    password = "p@ss:/?#[%]w${HOME}rd"
    postgres_server.execute(f"CREATE ROLE init_reader LOGIN PASSWORD '{password}' IN ROLE pg_read_all_data")
    return f"postgresql://init_reader@127.0.0.1:{postgres_server.port}/init_store", password


def read_uri(config: Path) -> str:
    section = load(config, {}).enabled_sources()["variants"]
    assert isinstance(section, VariantsSettings)
    return section.uri.get_secret_value()


def shown_scrape_config(output: str) -> str:
    found: list[str] = re.findall(r"^scrape_configs:\n(?: .*\n)+", output, re.MULTILINE)
    return found[0]


def test_flags_are_enough_and_the_next_command_works_when_pasted(folder: Path) -> None:
    port = free_port()
    write_csv(folder / "fleet.csv", line())
    command = [*INIT, "--fleet-file", "fleet.csv", "--port", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment())
    assert (done.returncode, done.stderr) == (0, "")
    config = folder / "ml-monitoring.yml"
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        f"{config} is written",
        f"ok    settings  {config}",
        f"ok    web       metrics at http://127.0.0.1:{port}/metrics",
    ]
    assert lines[3].startswith("ok    fleet     ")
    (folder / "any").touch()
    assert stat.S_IMODE(config.stat().st_mode) == stat.S_IMODE((folder / "any").stat().st_mode)
    assert load(config, {}).enabled_sources().keys() == {"fleet"}

    log = folder / "log"
    words = shlex.split(lines[-1])
    assert words == [sys.executable, "-m", "ml_monitoring", "serve", f"--config.file={config}"]
    # A shell takes the line as it stands; the exporter gets the settings a second time from the test's helper.
    process = ExporterProcess(config, log, command=["bash", "-c", f"exec {lines[-1]}"], cwd=ROOT)
    try:
        assert process.url == f"http://127.0.0.1:{port}"
        process.wait_for('ml_monitoring_source_up{source="fleet"}', 1)
    finally:
        assert process.stop() == 0


def test_prometheus_takes_the_scrape_config_that_is_shown(
    init: Init, folder: Path, programs: Mapping[str, Path]
) -> None:
    done = init("--fleet-file", "fleet.csv", "--host", "::", "--port", "9900")
    config = shown_scrape_config(done.stdout)
    (job,) = yaml.safe_load(config)["scrape_configs"]
    assert job["job_name"] == JOB
    (target,) = job["static_configs"][0]["targets"]
    assert target.endswith(":9900")
    assert "::" not in target
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    command: list[str | Path] = [programs["promtool"], "check", "config", folder / "prometheus.yml"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("sqlite:///mlflow.db", "sqlite:///{folder}/mlflow.db"),
        ("sqlite:///a b/mlflow.db?mode=ro", "sqlite:///{folder}/a b/mlflow.db?mode=ro"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("sqlite:///${HOME}/mlflow.db", "sqlite:///${{HOME}}/mlflow.db"),
    ],
)
def test_a_file_of_sqlite_is_found_from_any_folder(given: str, written: str, init: Init, folder: Path) -> None:
    init("--mlflow-uri", given)
    text = (folder / "ml-monitoring.yml").read_text(encoding="utf-8")
    assert f'    uri: "{written.format(folder=folder)}"\n' in text


def test_a_store_that_cannot_be_read_is_described_as_check_does(
    init: Init, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = init("--mlflow-uri", "sqlite:////nowhere/mlflow.db", "--prometheus-url", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert main(["check", f"--config.file={folder / 'ml-monitoring.yml'}"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1] for line in lines] == ["mlflow", "prometheus"]
    assert set(lines) < set(done.stdout.splitlines())
    *_, before, empty, last = done.stdout.splitlines()
    assert (before, empty) == (
        f"Something is not well yet, see above. Correct {folder / 'ml-monitoring.yml'}, and try it again:",
        "",
    )
    assert shlex.split(last)[-2:] == ["check", f"--config.file={folder / 'ml-monitoring.yml'}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (),
            "init: nothing says what to read, and this is no terminal to ask in: "
            "give --mlflow-uri, --variants-uri or --fleet-file",
        ),
        (
            ("--mlflow-uri", "mssql://u:s3cret@h/d"),
            "--mlflow-uri: must begin with http(s)://, postgresql://, mysql:// or sqlite:///, "
            "not with mssql: another database is read over its tracking server",
        ),
        (
            ("--variants-uri", "mysql://u:s3cret@h/d"),
            "--variants-uri: variants are read from PostgreSQL; the URI must begin with postgresql://",
        ),
        (
            ("--fleet-file", "f.csv", "--port", "70000"),
            "--port: must be at most 65535",
        ),
        (
            ("--fleet-file", "f.csv", "--prometheus-url", "prometheus:9090"),
            "--prometheus-url: has no scheme: put http:// or https:// in front",
        ),
        (
            ("--mlflow-uri", "postgresql://u:${NOT_SET_ANYWHERE}@h/d"),
            "--mlflow-uri: the variable NOT_SET_ANYWHERE is not set",
        ),
        (
            ("--mlflow-uri", "postgresql://u:s3cret${HOME}@h/d"),
            "--mlflow-uri: holds a password and a reference to a variable; keep one of them, "
            "or write the $ of a password as %24",
        ),
        (("--fleet-file", "f.csv", "--output", "none/a.yml"), "{folder}/none/a.yml: there is no folder {folder}/none"),
        (("--fleet-file", "f.csv", "--output", "."), "{folder}: is a folder"),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_is_written(
    init: Init, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    code = 1 if "--output" in arguments else 2
    assert init(*arguments) == (code, "", f"error: {message.format(folder=folder)}\n")
    assert list(folder.iterdir()) == []


def test_a_file_of_an_address_is_named_as_what_to_correct(init: Init, folder: Path) -> None:
    done = init("--mlflow-uri", "postgresql://u:s3cret@127.0.0.1:1/d")
    assert done.returncode == 1
    assert f"Correct {folder / 'mlflow_uri'} or {folder / 'ml-monitoring.yml'}, and try it again:" in done.stdout


def test_passwords_go_into_files_that_only_their_owner_reads(
    init: Init, folder: Path, guarded: tuple[str, str]
) -> None:
    uri, password = guarded
    full = with_password(uri, password)
    done = init("--variants-uri", full, "--output", "settings.yml")
    assert done.returncode == 0, done.stdout
    encoded = full.partition("init_reader:")[2].partition("@")[0]
    assert encoded not in done.stdout + (folder / "settings.yml").read_text(encoding="utf-8")
    secret = folder / "variants_uri"
    assert secret.read_text(encoding="utf-8") == f"{full}\n"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert f"{folder}/settings.yml is written, and {secret} with the address of variants" in done.stdout

    inline = init("--variants-uri", full, "--output", "inline.yml", "--inline-passwords")
    assert inline.returncode == 0, inline.stdout
    assert encoded not in inline.stdout
    assert read_uri(folder / "inline.yml") == read_uri(folder / "settings.yml") == full
    assert stat.S_IMODE((folder / "inline.yml").stat().st_mode) == 0o600


def test_a_reference_to_a_variable_stays_one(
    init: Init, folder: Path, guarded: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, password = guarded
    encoded = with_password(uri, password).partition("init_reader:")[2].partition("@")[0]
    referring = uri.replace("init_reader@", "init_reader:${APP_DB_PASSWORD}@")
    monkeypatch.setenv("APP_DB_PASSWORD", encoded)
    done = init("--variants-uri", referring)
    assert done.returncode == 0, done.stdout
    assert f'    uri: "{referring}"\n' in (folder / "ml-monitoring.yml").read_text(encoding="utf-8")
    assert [path.name for path in folder.iterdir()] == ["ml-monitoring.yml"]


def test_existing_files_are_replaced_only_by_force(init: Init, folder: Path) -> None:
    config, secret = folder / "ml-monitoring.yml", folder / "variants_uri"
    arguments = ("--variants-uri", "postgresql://u:s3cret@127.0.0.1:1/d")
    secret.write_text("mine")
    refused = init(*arguments)
    assert refused.stderr == f"error: {secret}: exists; --force replaces it, and --output names another file\n"
    assert not config.exists()
    # A link that leads nowhere is somebody's file, too.
    config.symlink_to(folder / "nowhere")
    refused = init()
    assert refused.stderr == f"error: {config}: exists; --force replaces it, and --output names another file\n"
    assert secret.read_text() == "mine"

    forced = init(*arguments, "--force")
    assert forced.returncode == 1
    assert re.search(r"^FAIL  variants  cannot connect: ", forced.stdout, re.MULTILINE)
    assert not config.is_symlink()
    assert sorted(path.name for path in folder.iterdir()) == ["ml-monitoring.yml", "variants_uri"]
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_a_person_is_asked_and_each_answer_is_tried_at_once(folder: Path, guarded: tuple[str, str]) -> None:
    uri, password = guarded
    fleet = folder / "fleet.csv"
    with Console(INIT, cwd=folder, env=environment()) as console:
        console.answer("https://mlflow.example): ", "mssql://db/mlflow")
        # Refused, so that it asks again; then a password that is wrong, which is not to be kept.
        console.answer("https://mlflow.example): ", "")
        console.answer("host/app): ", uri)
        console.answer("not shown; Enter for none: ", "wrong")
        console.answer("Keep it all the same? [y/N] ", "")
        console.answer("host/app): ", uri)
        console.answer("not shown; Enter for none: ", password)
        console.answer("a folder of them: ", str(fleet))
        console.answer("Keep it all the same? [y/N] ", "y")
        console.answer("9090): ", "http://127.0.0.1:1")
        console.answer("Keep it all the same? [y/N] ", "no")
        console.answer("9090): ", "")
        console.answer("9093): ", "")
        console.answer("[9847]: ", "9.9")
        console.answer("[9847]: ", "9900")
        assert console.end() == 1
    assert "not with mssql" in console.shown
    assert 'password authentication failed for user "init_reader"' in console.shown
    assert "http://127.0.0.1:1 cannot be reached: Connection refused" in console.shown
    assert "web.port: must be at least 0" in console.shown
    assert not any(secret in console.shown for secret in ("wrong\n", password, with_password("u@", password)[2:-1]))
    settings = load(folder / "ml-monitoring.yml", {})
    assert settings.enabled_sources().keys() == {"variants", "fleet"}
    assert (settings.web.port, settings.prometheus) == (9900, None)
    assert (folder / "variants_uri").read_text(encoding="utf-8") == f"{with_password(uri, password)}\n"
    # The one that was kept all the same is what is not well yet.
    failed = re.findall(r"^FAIL  (\w+)", console.shown.partition("is written")[2], re.MULTILINE)
    assert failed == ["fleet"]


def test_ending_the_input_writes_nothing(folder: Path) -> None:
    with Console(INIT, cwd=folder, env=environment()) as console:
        console.answer("tracking server", "\x04")
        assert console.end() == 1
    assert console.shown.endswith("error: init: the answers ended too early; nothing is written\n")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "answers",
    [
        Answers(mlflow="sqlite:////data/mlflow.db"),
        Answers(variants="postgresql://u@h/d", prometheus="http://p:9090", alertmanager="http://a:9093"),
        Answers(fleet=Path('/data/#1: "fleet" ${HOME}.csv'), port=0, host="::1"),
        Answers(mlflow="https://mlflow.example/a", variants="postgresql://h/d", fleet=Path("/f")),
    ],
)
def test_the_file_holds_the_answers_and_its_comments_are_settings(answers: Answers, tmp_path: Path) -> None:
    wanted, problems = answers.settings({})
    assert problems == []
    path = tmp_path / "settings.yml"
    path.write_text(text(answers, {}), encoding="utf-8")
    assert load(path, {}) == wanted
    # What stands behind `#` can be taken in as it is, each line for itself.
    lines = path.read_text(encoding="utf-8").splitlines()
    commented = [index for index, line in enumerate(lines) if re.match(r" *# [a-z_]+: ", line)]
    assert len(commented) >= 5
    for index in commented:
        changed = [*lines]
        changed[index] = changed[index].replace("# ", "", 1)
        path.write_text("\n".join(changed), encoding="utf-8")
        load(path, {})


@pytest.mark.parametrize(
    ("uri", "secret", "asked"),
    [
        ("postgresql://u@h/d", False, True),
        ("postgresql://h/d", False, False),
        ("postgresql://u:p@h/d", True, False),
        ("postgresql://h/d?password=p", True, False),
        ("postgresql://h/d?sslpassword=p", True, False),
        ("mysql://u@h/d?passwd=p", True, False),
        ("mysql://u@h/d", False, True),
        ("postgresql://u:${P}@h/d", False, False),
        ("${URI}", False, False),
        ("postgresql://u:p/w@h/d", True, False),
        ("https://mlflow.example", False, False),
        ("https://token@mlflow.example", True, False),
        ("https://u:p@mlflow.example", True, False),
        ("sqlite:////data/mlflow.db", False, False),
        ("nonsense", True, False),
    ],
)
def test_what_may_be_secret_is_taken_for_it(uri: str, secret: bool, asked: bool) -> None:
    assert (holds_secret(uri), lacks_password(uri)) == (secret, asked)


def test_below_etc_the_credential_of_a_service_goes_before_the_file(tmp_path: Path) -> None:
    path = files.reference(Path("/etc/ml-monitoring/mlflow_uri"))
    (tmp_path / "mlflow_uri").write_text("sqlite:////data/mlflow.db\n")
    config = tmp_path / "settings.yml"
    config.write_text(text(Answers(mlflow="postgresql://u:p@h/d"), {"mlflow": path}), encoding="utf-8")
    section = load(config, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).enabled_sources()["mlflow"]
    assert isinstance(section, MlflowSettings)
    assert section.uri.get_secret_value() == "sqlite:////data/mlflow.db"
    assert path.endswith(":-/etc/ml-monitoring}/mlflow_uri")
    assert files.reference(Path("/home/u/${x}/mlflow_uri")) == "/home/u/$${x}/mlflow_uri"
