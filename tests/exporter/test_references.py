from __future__ import annotations

from pathlib import Path

import pytest

from ml_monitoring.exporter.config import load
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.sources.mlflow import MlflowSettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ml-monitoring.yml"


def _section(file: Path, **environ: str) -> MlflowSettings:
    section = load(file, environ).enabled_sources()["mlflow"]
    assert isinstance(section, MlflowSettings)
    return section


def _problems(file: Path, **environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        load(file, environ)
    return error.value.problems


@pytest.mark.parametrize(
    ("written", "environ", "expected"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("a-${A}-${B}-b", {"A": "x", "B": "y"}, "a-x-y-b"),
        ("${A:-x y}", {}, "x y"),
        ("${A:-x}", {"A": ""}, "x"),
        ("${A:-}", {}, ""),
        ("${A}", {"A": ""}, ""),
        ("${A}", {"A": "${B}"}, "${B}"),
        ("$${A}", {}, "${A}"),
        ("$A {A} $", {}, "$A {A} $"),
    ],
)
def test_variables_are_put_into_values(file: Path, written: str, environ: dict[str, str], expected: str) -> None:
    file.write_text(f"sources: {{mlflow: {{uri: 'sqlite:///m.db', champion: '{written}', count_tags: ['{written}']}}}}")
    section = _section(file, **environ)
    assert (section.champion, section.count_tags) == (expected, (expected,))


def test_a_number_or_a_choice_may_come_from_a_variable(file: Path) -> None:
    file.write_text("sources: {mlflow: {uri: 'sqlite:///m.db', max_series: '${N}', traces: '${T:-no}'}}")
    section = _section(file, N="7")
    assert (section.max_series, section.traces) == (7, False)


def test_keys_are_left_alone(file: Path) -> None:
    file.write_text("sources:\n  mlflow:\n    uri: sqlite:///m.db\n    '${A}': 1")
    assert _problems(file, A="interval") == (f"{file}:4: sources.mlflow.${{A}}: unknown key",)


def test_a_variable_that_is_not_set_is_named_with_file_and_line(file: Path) -> None:
    file.write_text(
        "sources:\n  mlflow:\n    uri: postgresql://u:${DB_PASSWORD}@db/mlflow\n    count_tags:\n      - ${}\n"
    )
    assert _problems(file) == (
        f"{file}:3: sources.mlflow.uri: the variable DB_PASSWORD is not set",
        f"{file}:5: sources.mlflow.count_tags.0: '' is no name of a variable; $${{ stands for the text ${{",
    )


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://u:$DB_PASSWORD@db/mlflow",
        "postgresql://u:p@$DB_HOST/mlflow",
        "postgresql://u:p@db:$(DB_PORT)/mlflow?sslmode=require",
        "https://mlflow.example/$TEAM",
    ],
)
def test_a_variable_in_the_words_of_a_shell_is_refused(file: Path, uri: str) -> None:
    file.write_text(f"sources:\n  mlflow:\n    uri: {uri}\n")
    assert _problems(file) == (
        f"{file}:3: sources.mlflow.uri: holds a variable that is not filled in: write ${{NAME}}, or %24 for the sign $ "
        "itself",
    )


@pytest.mark.parametrize("password", ["pa$WORD", "$ecret", "%24DB_PASSWORD", "${FILLED}", "$"])
def test_a_dollar_sign_may_stand_in_a_password(file: Path, password: str) -> None:
    file.write_text(f"sources: {{mlflow: {{uri: 'postgresql://u:{password}@db/mlflow'}}}}")
    uri = password.replace("${FILLED}", "$DB_PASSWORD")
    assert _section(file, FILLED="$DB_PASSWORD").uri.get_secret_value() == f"postgresql://u:{uri}@db/mlflow"


def test_a_secret_may_be_given_by_its_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / "uri").write_text("sqlite:///secret.db\n")
    file.write_text("sources: {mlflow: {uri_file: '${FOLDER}/uri'}}")
    assert _section(file, FOLDER=str(tmp_path)).uri.get_secret_value() == "sqlite:///secret.db"


def test_what_is_laid_on_top_wins_whichever_way_it_is_given(file: Path, tmp_path: Path) -> None:
    (tmp_path / "uri").write_text("sqlite:///secret.db\n")
    file.write_text(f"sources: {{mlflow: {{uri_file: {tmp_path}/uri}}}}")
    other = tmp_path / "other.yml"
    other.write_text("sources: {mlflow: {uri: 'sqlite:///plain.db'}}")
    for files, expected in (([file, other], "plain"), ([other, file], "secret")):
        section = load(files, {}).enabled_sources()["mlflow"]
        assert isinstance(section, MlflowSettings)
        assert section.uri.get_secret_value() == f"sqlite:///{expected}.db"


def test_problems_with_the_file_of_a_secret_have_file_and_line(file: Path, tmp_path: Path) -> None:
    file.write_text(
        f"sources:\n  mlflow:\n    uri_file: {tmp_path}/missing\n"
        "  variants:\n    uri: postgresql://u:s3cret@db/app\n    uri_file: /x\n"
    )
    first, second, *_ = _problems(file)
    assert first == (f"{file}:3: sources.mlflow.uri_file: {tmp_path}/missing cannot be read: No such file or directory")
    assert second == f"{file}:6: sources.variants.uri_file: given together with uri; keep one of them"


def test_a_problem_with_what_the_file_holds_is_found_at_its_key(file: Path, tmp_path: Path) -> None:
    (tmp_path / "uri").write_text("mssql://u:s3cret@db\n")
    file.write_text(f"sources:\n  mlflow:\n    uri_file: {tmp_path}/uri")
    (problem,) = _problems(file)
    assert (
        problem == f"{file}:3: sources.mlflow.uri_file: what {tmp_path / 'uri'} holds must begin with "
        "http(s)://, postgresql://, mysql:// or sqlite:///, "
        "not with mssql: another database is read over its tracking server"
    )


def test_only_secrets_have_files(file: Path) -> None:
    file.write_text("sources:\n  mlflow:\n    uri: sqlite:///m.db\n    champion_file: /x")
    assert _problems(file) == (
        f"{file}:4: sources.mlflow.champion_file: unknown key; did you mean champion? It is given in this file itself",
    )
