"""`check` tries each file and folder that the settings name, and says which setting names what cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from ml_monitoring.exporter import checks
from ml_monitoring.exporter.cli import main
from ml_monitoring.exporter.config import Settings, load
from ml_monitoring.exporter.settings_hints import models_in
from ml_monitoring.exporter.values import PathUse

_MLFLOW = "uri: 'https://127.0.0.1:1'"
_VARIANTS = "uri: 'postgresql://reader@127.0.0.1:1/x'"
_EXPERIMENTS = "url: 'http://127.0.0.1:1'"


def _fields(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[tuple[str, list[object], object]]:
    seen.add(model)
    for name, field in model.model_fields.items():
        yield f"{model.__name__}.{name}", field.metadata, field.annotation
        for inner in set(models_in(field.annotation)) - seen:
            yield from _fields(inner, seen)


def test_each_path_of_the_settings_says_what_becomes_of_it() -> None:
    paths = [(name, found) for name, found, kind in _fields(Settings, set()) if f"{Path.__module__}.Path" in repr(kind)]
    assert len(paths) >= 10
    assert [name for name, found in paths if not any(isinstance(each, PathUse) for each in found)] == []


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (f"mlflow: {{{_MLFLOW}, ca_file: X/ca.pem}}", "sources.mlflow.ca_file: X/ca.pem cannot be read: No such file"),
        (
            f"mlflow: {{prod: {{{_MLFLOW}, certificate_file: X/c.pem}}}}",
            "sources.mlflow.prod.certificate_file: X/c.pem cannot be read: No such file or directory",
        ),
        (
            f"experiments: {{{_EXPERIMENTS}, cache: X/file/x}}",
            "sources.experiments.cache: X/file/x cannot be written:",
        ),
        (
            f"variants: {{{_VARIANTS}, history: X/file/history}}",
            "sources.variants.history: X/file/history cannot be written: X/file is no folder",
        ),
        (f"variants: {{{_VARIANTS}, history: X}}", "sources.variants.history: X is no file"),
        (
            "fleet: {path: X/file, mode: follow, position_file: X/file/position}",
            "sources.fleet.position_file: X/file/position cannot be written: X/file is no folder",
        ),
    ],
)
def test_a_path_that_cannot_be_used_is_named_with_its_setting(section: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = tmp_path / "config.yml"
    config.write_text(f"sources:\n  {section}\n".replace("X", str(tmp_path)))
    before = sorted(tmp_path.rglob("*"))
    messages = [result.message for result in checks.run(load(config, {})) if not result.ok]
    assert [message for message in messages if message.startswith(problem.replace("X", str(tmp_path)))], messages
    # Nothing is made by trying.
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("web", "problem"),
    [
        ("config_file: X/web.yml", "web.config_file: X/web.yml: cannot be read: No such file or directory"),
        ("config_file: X/tls.yml", "web.config_file: X/tls.yml:1: tls_server_config.cert_file: X/none.crt: No"),
        ("runbooks_dir: X/none", "web.runbooks_dir: X/none cannot be read: No such file or directory"),
        ("runbooks_dir: X/file", "web.runbooks_dir: X/file cannot be read: Not a directory"),
    ],
)
def test_what_the_pages_are_served_with_is_tried(web: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "tls.yml").write_text("tls_server_config: {cert_file: none.crt, key_file: none.key}\n")
    config = tmp_path / "config.yml"
    config.write_text(f"web: {{{web}}}\nsources: {{fleet: {{path: X/file}}}}\n".replace("X", str(tmp_path)))
    first, *_others = checks.run(load(config, {}))
    assert not first.ok
    assert first.message.startswith(problem.replace("X", str(tmp_path)))


def test_a_folder_of_runbooks_without_one_is_noted(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text(f"web: {{runbooks_dir: {tmp_path}}}\nsources: {{fleet: {{path: {config}}}}}\n")
    first, *_others = checks.run(load(config, {}))
    assert first.ok
    # Another exporter may serve the usual port of this machine.
    assert f"; web.runbooks_dir: {tmp_path} holds no <AlertName>.md" in first.message


def test_places_that_are_made_later_are_no_problem(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text(
        f"sources:\n  experiments: {{{_EXPERIMENTS}, cache: {tmp_path}/a/b}}\n"
        f"  variants: {{{_VARIANTS}, history: {tmp_path}/c/d}}\n"
    )
    messages = [result.message for result in checks.run(load(config, {}))]
    assert not [message for message in messages if "cannot be written" in message]


def test_a_missing_folder_of_experiments_is_said_once_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "m.yml"
    settings.write_text(f"sources:\n  experiments:\n    url: http://127.0.0.1:9\n    files: {tmp_path}/none\n")
    assert main(["check", "--config", str(settings)]) == 1
    out = capsys.readouterr().out
    (failed,) = (line for line in out.splitlines() if line.startswith("FAIL"))
    assert failed.split(maxsplit=1)[1] == (
        f"experiments  {tmp_path}/none: cannot be read: No such file or directory "
        f"(sources.experiments.files, {settings}:4)"
    )
