"""Several sources of a kind, each with a name, a state and series of its own."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ml_monitoring.exporter.config import read
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.settings_text import write
from tests.support.mlflow_store import reference_client
from tests.support.serving import serving

_HEADERS = {"Accept": "application/openmetrics-text"}
_SOURCES = "ML_MONITORING_SOURCES__"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a store with one run."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    client = reference_client(f"sqlite:///{path}")
    run = client.create_run("0").info.run_id
    client.log_metric(run, "accuracy", 0.5)
    client.set_terminated(run)
    return path


def _written(folder: Path, sections: Mapping[str, str]) -> Path:
    path = folder / "ml-monitoring.yml"
    lines = [f"    {name}: {{interval: 200ms, {section}}}" for name, section in sections.items()]
    path.write_text("\n".join(["web: {port: 0, enable_lifecycle: true}", "sources:", "  mlflow:", *lines]))
    return path


def _sections(text: str, folder: Path, **environ: str) -> dict[str, Any]:
    path = folder / "settings.yml"
    path.write_text(text)
    return read(path, environ)[0].enabled_sources()


def test_a_kind_is_given_once_or_by_names(tmp_path: Path) -> None:
    one = _sections(
        "sources: {mlflow: {uri: 'sqlite:///a', labels: {team: ['tag:team']}}, containers: {url: 'http://h'}}", tmp_path
    )
    assert list(one) == ["mlflow", "containers"]
    named = _sections(
        "sources: {mlflow: {prod: {uri: 'sqlite:///a'}, lab.2: {uri: 'sqlite:///b', timeout: 3s}},"
        " fleet: {x: {path: /a}, y: {path: /b}}, variants: {all: {uri: 'postgresql://h/d'}}, containers: {here: {url: 'http://h'}}}",
        tmp_path,
    )
    assert list(named) == ["mlflow/prod", "mlflow/lab.2", "variants/all", "fleet/x", "fleet/y", "containers/here"]
    assert (named["mlflow/prod"].timeout, named["mlflow/lab.2"].timeout) == (10, 3)


def test_variables_and_files_of_secrets_reach_named_sources(tmp_path: Path) -> None:
    (tmp_path / "uri").write_text("sqlite:////from/file\n")
    (tmp_path / "other").write_text("sqlite:////from/variable\n")
    sections = _sections(
        f"sources: {{mlflow: {{prod: {{uri_file: {tmp_path}/uri}}, lab: {{uri: 'sqlite:///x'}}}}}}",
        tmp_path,
        ML_MONITORING_SOURCES__MLFLOW__LAB__URI_FILE=f"{tmp_path}/other",
        ML_MONITORING_SOURCES__MLFLOW__PROD__INTERVAL="7s",
        # Which of them would it be?
        MLFLOW_BACKEND_STORE_URI="sqlite:////of/mlflow",
    )
    assert {name: section.uri.get_secret_value() for name, section in sections.items()} == {
        "mlflow/prod": "sqlite:////from/file",
        "mlflow/lab": "sqlite:////from/variable",
    }
    assert sections["mlflow/prod"].interval == 7


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{prod: {interval: 7s}}", "mlflow.prod.uri: is missing"),
        ("{prod: {urii: 'sqlite:///s3cret'}}", "mlflow.prod.urii: unknown key; did you mean uri?"),
        ("{'a/b': {uri: 'sqlite:///s3cret'}}", "mlflow.a/b: a name has at most 63 letters, digits"),
        ("{uri: 'sqlite:///s3cret', prod: {uri: 'sqlite:///s3cret'}}", "mlflow.prod: is a store with a name"),
        ("{prod: {uri: 'sqlite:///x', labels: {store: ['tag:s3cret']}}}", "prod.labels: 'store' is the label of the"),
        ("{}", "mlflow.uri: is missing"),
    ],
)
def test_what_is_wrong_in_one_of_them_is_named(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        _sections(f"sources: {{mlflow: {text}}}", tmp_path)
    assert problem in str(error.value)
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("section", "variables", "givers"),
    [
        ("mlflow: {prod: {uri: 'sqlite:///x'}}", {"MLFLOW__URI_FILE": "{}/uri"}, f"{_SOURCES}MLFLOW__URI_FILE"),
        (
            "mlflow: {prod: {uri: 'sqlite:///x'}}",
            {"MLFLOW__SHARD__COUNT": "3", "MLFLOW__SHARD__INDEX": "1"},
            f"{_SOURCES}MLFLOW__SHARD__COUNT, {_SOURCES}MLFLOW__SHARD__INDEX",
        ),
        (
            "variants: {prod: {uri: 'postgresql://h/d'}}",
            {"VARIANTS__URI": "postgresql://h/s3cret"},
            f"{_SOURCES}VARIANTS__URI",
        ),
        ("fleet: {prod: {path: /a}}", {"FLEET__INTERVAL": "30s"}, f"{_SOURCES}FLEET__INTERVAL"),
        ("containers: {prod: {url: 'http://h'}}", {"CONTAINERS__URL": "http://h"}, f"{_SOURCES}CONTAINERS__URL"),
        ("experiments: {prod: {interval: 30s}}", {"EXPERIMENTS__TIMEOUT": "5s"}, f"{_SOURCES}EXPERIMENTS__TIMEOUT"),
        ("mlflow: {prod: {uri: 'sqlite:///x'}, interval: 7s}", {}, "sources.mlflow.interval, {}:2"),
    ],
)
def test_settings_of_one_without_a_name_beside_stores_with_names_are_named(
    section: str, variables: dict[str, str], givers: str, tmp_path: Path
) -> None:
    (tmp_path / "uri").write_text("postgresql://u:s3cret@h/d")
    with pytest.raises(ConfigError) as error:
        _sections(
            f"sources:\n  {section}",
            tmp_path,
            # For the store without a name, which there is not.
            MLFLOW_BACKEND_STORE_URI="sqlite:////of/mlflow",
            **{f"{_SOURCES}{name}": value.format(tmp_path) for name, value in variables.items()},
        )
    (line,) = error.value.problems
    kind, file = section.partition(":")[0], tmp_path / "settings.yml"
    assert line.startswith(f"{file}:2: sources.{kind}.prod: is a store with a name, beside settings of one without (")
    assert line.endswith(f"{givers.format(file)}); take these out, or the names")
    assert "s3cret" not in line


def test_a_variable_that_names_a_store_beside_one_without_a_name_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        _sections(
            "sources: {mlflow: {uri: 'sqlite:///s3cret'}}",
            tmp_path,
            ML_MONITORING_SOURCES__MLFLOW__PROD__URI="sqlite:///s3cret",
        )
    assert error.value.problems == (
        "ML_MONITORING_SOURCES__MLFLOW__PROD__URI: is a store with a name, beside settings of one without "
        f"(sources.mlflow.uri, {tmp_path}/settings.yml:1); take these out, or the names",
    )


def test_a_misspelt_setting_beside_a_variable_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        _sections(
            "sources: {mlflow: {labells: {team: ['tag:team']}}}",
            tmp_path,
            ML_MONITORING_SOURCES__MLFLOW__URI="sqlite:///x",
        )
    (line,) = error.value.problems
    assert line.endswith("sources.mlflow.labells: unknown key; did you mean labels?")


def test_a_setting_of_all_queries_is_said_to_be_of_each(tmp_path: Path) -> None:
    query = "{uri: 'sqlite:///x', sql: select 1 as n, metrics: {shop_x: {value: n, help: It.}}}"
    with pytest.raises(ConfigError) as error:
        _sections(f"sources: {{queries: {{a: {query}}}}}", tmp_path, ML_MONITORING_SOURCES__QUERIES__INTERVAL="30s")
    assert error.value.problems == (
        "ML_MONITORING_SOURCES__QUERIES__INTERVAL: is a setting of each: write it below a name, as "
        "sources.queries.NAME.interval",
    )


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (
            "mlflow: {prod: {uri: 'sqlite:///x', timeout: soon}}",
            "mlflow.prod.timeout: not a duration: write it as 30s, 5m, 6h, 1d or 1h30m",
        ),
        (
            # Of the name of its kind.
            "mlflow: {mlflow: {uri: 'sqlite:///x', labels: {a: [3]}}}",
            "mlflow.mlflow.labels.a.0: must be a text, in quotes where it looks like something else",
        ),
        (
            "mlflow: {prod: {uri: #s3cret\n  }}",
            "mlflow.prod.uri: is empty, as # begins a comment: write what begins with # in quotes",
        ),
        ("mlflow: {prod: {uri: [s3cret]}}", "mlflow.prod.uri: must be a text, not a list: write it without brackets"),
        (
            "variants: {all: {uri: 'ftp://u:s3cret@h/d'}}",
            "variants.all.uri: must begin with postgresql://, mysql:// or sqlite:///, not with something else",
        ),
        (
            "fleet: {'x.1': {path: /a, risk: {normals: {web: {cpuu: 1}}}}}",
            "fleet.x.1.risk.normals.web: cpuu: no such measure; did you mean cpu?",
        ),
        ("containers: {here: {url: 'http://h', interval: []}}", "containers.here.interval: not a duration: write"),
    ],
)
def test_a_problem_is_named_with_the_file_the_line_the_kind_and_the_name(
    section: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as error:
        _sections(f"sources:\n  {section}", tmp_path)
    (line,) = error.value.problems
    assert line.startswith(f"{tmp_path}/settings.yml:2: sources.{problem}")


def test_the_settings_in_force_hide_the_secrets_of_each(tmp_path: Path) -> None:
    path = tmp_path / "settings.yml"
    path.write_text("sources: {mlflow: {prod: {uri: 'postgresql://u:s3cret@h/d'}, lab: {uri: 'sqlite:////s3cret'}}}")
    text = write(*read(path, {}))
    assert "s3cret" not in text
    assert text.count("uri: <secret>") == 2


def test_each_has_series_and_a_state_of_its_own(store: Path, tmp_path: Path) -> None:
    config = _written(
        tmp_path,
        {
            "prod": f"uri: 'sqlite:///{store}'",
            "lab": f"uri: 'sqlite:///{store}', labels: {{team: ['tag:team']}}",
            "gone": "uri: 'sqlite:////nonexistent/x.db'",
        },
    )
    with serving(config) as exporter:
        exporter.wait_for('ml_monitoring_source_up{source="mlflow/prod"}', 1)
        exporter.wait_for('ml_monitoring_source_up{source="mlflow/lab"}', 1)
        samples = exporter.wait_for('ml_monitoring_source_up{source="mlflow/gone"}', 0)
        assert samples['mlflow_runs{experiment="Default",status="FINISHED",store="prod"}'] == 1
        assert (
            samples['mlflow_metric_latest{experiment="Default",metric="accuracy",model_variant="",store="lab",team=""}']
            == 0.5
        )
        assert samples['mlflow_run_duration_seconds_count{experiment="Default",store="lab"}'] == 1
        assert not [name for name in samples if 'store="gone"' in name]
        # A family stands once in an exposition, whichever part is asked for.
        url = f"{exporter.url}/metrics"
        for query, stores in (
            ("", {"prod", "lab"}),
            ("?collect[]=mlflow", {"prod", "lab"}),
            ("?collect[]=mlflow/lab", {"lab"}),
        ):
            types = re.findall(r"# TYPE (\S+)", requests.get(url + query, timeout=10).text)
            assert len(types) == len(set(types)) > 0
            families = list(
                text_string_to_metric_families(requests.get(url + query, headers=_HEADERS, timeout=10).text)
            )
            found = {
                sample.labels["store"] for family in families for sample in family.samples if "store" in sample.labels
            }
            assert found == stores
        page = exporter.get("/").text
        assert "mlflow/gone" in page
        assert "source=mlflow/gone reason=read" in exporter.wait_for_log("source failed")
        assert requests.post(f"{exporter.url}/-/reset/mlflow/lab", timeout=10).status_code == 404


def test_a_store_that_is_taken_out_takes_its_series_along(store: Path, tmp_path: Path) -> None:
    sections = {"prod": f"uri: 'sqlite:///{store}'", "lab": f"uri: 'sqlite:///{store}'"}
    config = _written(tmp_path, sections)
    run = 'mlflow_runs{{experiment="Default",status="FINISHED",store="{}"}}'
    with serving(config) as exporter:
        exporter.wait_for(run.format("lab"), 1)
        exporter.wait_for(run.format("prod"), 1)
        _written(tmp_path, {"prod": sections["prod"], "new": sections["lab"]})
        assert requests.post(f"{exporter.url}/-/reload", timeout=10).status_code == 200
        samples = exporter.wait_for(run.format("new"), 1)
        assert samples[run.format("prod")] == 1
        assert not [name for name in samples if 'store="lab"' in name]
        # One that is read again does not touch the others.
        with contextlib.closing(sqlite3.connect(store)) as file, file:
            file.execute("update runs set status = 'FAILED'")
        exporter.wait_for(run.format("new"), 0)
        exporter.wait_for(run.format("prod"), 0)
