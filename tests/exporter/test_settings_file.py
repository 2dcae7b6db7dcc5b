from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.model.thresholds import read as read_thresholds
from ml_monitoring.exporter.config import Settings, load
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.settings_file import Layers
from ml_monitoring.exporter.settings_hints import ALERTING_KEYS, EXPORTER_KEYS
from ml_monitoring.exporter.yaml_files import read_yaml


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.yml"


def layers_of(tmp_path: Path, *texts: str) -> Layers:
    layers = Layers()
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.yml"
        path.write_text(text, encoding="utf-8")
        layers.add_file(path)
    return layers


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("", {}),
        ("# only a comment\n", {}),
        (
            "a: &a {b: 1_000, c: 0x1F}\nd: {<<: *a, e: 1.5}",
            {"a": {"b": 1000, "c": 31}, "d": {"b": 1000, "c": 31, "e": 1.5}},
        ),
        # YAML 1.2: only `true` and `false` are truth values, and a time of day is no number in base 60.
        ("a: [yes, true, null, 10:30, 'x']", {"a": ["yes", True, None, "10:30", "x"]}),
    ],
)
def test_a_file_is_read_as_plain_values(text: str, content: dict[str, Any], file: Path) -> None:
    file.write_text(text, encoding="utf-8")
    found = read_yaml(file)
    assert found == content
    assert {type(value) for value in found.values()} <= {dict, list}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: {b: 1,\n b: hunter2}", ":2: not valid YAML: key 'b' is given twice; the first time in line 1"),
        ("a: {b: 1, b: hunter2}", ":1: not valid YAML: key 'b' is given twice"),
        (
            "password: !hunter2",
            ":1: not valid YAML: a tag has no meaning here (column 11); put a text that begins with ! in quotes",
        ),
        (
            "a:\n  start: 2026-13-40",
            ":2: not valid YAML: start: this is a number or a time that there cannot be",
        ),
        ("a: [{'b.c': 2026-02-30}]", ":1: not valid YAML: b.c: this is a number or a time that there cannot be"),
        ("a:\n  - 1\n  - 2026-02-30", ":3: not valid YAML: this is a number or a time that there cannot be"),
        ("a:\n\tb: hunter2", ":2: not valid YAML: a tab: indent with spaces"),
        (
            "a: *hunter2",
            ":1: not valid YAML: an alias that nothing defines (column 4); put a text that begins with * in quotes",
        ),
        *(
            (
                f"a: {sign}hunter2",
                f":1: not valid YAML: found character '{sign}' that cannot start any token (column 4); "
                "put a text that begins with it in quotes",
            )
            for sign in "@%`"
        ),
        (
            "a: ,hunter2",
            ":1: not valid YAML: expected the node content, but found ',' (column 4); "
            "put a text that begins with it in quotes",
        ),
        (
            "a: - hunter2",
            ":1: not valid YAML: sequence entries are not allowed here (column 4); "
            "put a text that begins with - in quotes",
        ),
        *(
            (
                f"a: {sign}hunter2",
                ":1: not valid YAML: a text begins behind | or > in the same line (column 5); "
                "put a text that begins with one of them in quotes",
            )
            for sign in "|>"
        ),
        (
            "a: 'b'hunter2",
            ":1: not valid YAML: expected <block end>, but found '<scalar>' (column 7); "
            "something stands behind a closed quote or bracket: put the whole text in quotes",
        ),
        (
            "a: hunter2: [",
            ":1: not valid YAML: mapping values are not allowed here (column 11); a text with `: ` must be in quotes",
        ),
        (
            "a: 1\n  hunter2: 2",
            ":2: not valid YAML: mapping values are not allowed here (column 10); "
            "is the line indented further than the one before, or a text with `: ` not in quotes?",
        ),
        *(
            (
                f"a: {text}",
                f":1: not valid YAML: expected ',' or {sign!r}, but got ':' (column {text.rindex(':') + 4}); "
                "a text with `: ` must be in quotes, or a comma is missing before it",
            )
            for text, sign in (("{b: hunter2: c}", "}"), ("{b: 1, c: hunter2: c}", "}"), ("[b: hunter2: c]", "]"))
        ),
        *(
            (
                f"a: 1\nb: {text}{end}",
                f":{2 + len(end)}: not valid YAML: expected the node content, but found '<stream end>' (column "
                f"{1 if end else len(text) + 4}); a bracket or a quote of line 2 is not closed; # begins a comment: "
                "put a text that begins with # in quotes",
            )
            for text in ("{c: #hunter2, d: 1}", "[c, #hunter2]")
            for end in ("", "\n")
        ),
        (
            "a:\n  b: 1\n c: hunter2\n",
            ":3: not valid YAML: expected <block end>, but found '<block mapping start>' (column 2); "
            "the indentation differs from that of line 1",
        ),
        (
            "a:\n  b: [hunter2\nc: 3\n",
            ":3: not valid YAML: expected ',' or ']', but got ':' (column 2); "
            "a bracket or a quote of line 2 is not closed",
        ),
        (
            "a: 'hunter2",
            ":1: not valid YAML: found unexpected end of stream (column 12); "
            "a bracket or a quote of line 1 is not closed",
        ),
        (
            "a:\n  b: {c: #hunter2, d: 1}\n  e: 1\n",
            ":3: not valid YAML: expected ',' or '}', but got ':' (column 4); a bracket or a quote of line 2 is not "
            "closed; # begins a comment: put a text that begins with # in quotes",
        ),
        (
            "a:\n  b: {c: '#hunter2', d: 1 # all\n  e: 1\n",
            ":3: not valid YAML: expected ',' or '}', but got '<scalar>' (column 3); a bracket or a quote of line 2 is "
            "not closed",
        ),
        (
            "a:\n  b: hunter2\n    '#2' # only Europe\n\n    c\n",
            ":5: not valid YAML: expected <block end>, but found '<scalar>' (column 5); # begins a comment in line 3, "
            "which ends the text: put | behind the colon of the key, or the whole text in quotes",
        ),
        ("hunter2", ":1: must hold settings like `key: value`, not a text"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line_and_never_quoted(text: str, problem: str, file: Path) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_yaml(file)
    assert caught.value.problems == (f"{file}{problem}",)
    assert "hunter2" not in str(caught.value)


def test_layers_merge_mappings_replace_all_else_and_null_takes_away(tmp_path: Path) -> None:
    layers = layers_of(
        tmp_path,
        "a: {b: 1, c: [1, 2], d: null}\ne: 1\nf: {g: 1}",
        "a: {c: [3], h: {i: null, j: 1}}\ne: {k: 1}\nf: null",
    )
    assert layers.data == {"a": {"b": 1, "c": [3], "d": None, "h": {"j": 1}}, "e": {"k": 1}}


def test_each_setting_has_the_place_of_the_layer_that_gave_it(tmp_path: Path) -> None:
    layers = layers_of(tmp_path, "a:\n  b: 1\n  c:\n    - {d: 1}\n    - 2", "a:\n  c:\n    - 3")
    layers.add({"a": {"e": 4}}, {("a", "e"): ("VARIABLE", 0)})
    places = {location: str(layers.place(location)) for location in (("a", "b"), ("a", "c", 0), ("a", "e"), ("a", "x"))}
    assert places == {
        ("a", "b"): f"{tmp_path}/0.yml:2",
        ("a", "c", 0): f"{tmp_path}/1.yml:3",
        ("a", "e"): "VARIABLE",
        # What is missing is missing in the mapping that the upper file gave too.
        ("a", "x"): f"{tmp_path}/1.yml:1",
    }
    # The second item of the list below is gone, and what is said of the list is said of the upper one.
    assert str(layers.place(("a", "c", 1))) == f"{tmp_path}/1.yml:2"
    assert Layers().place(("a",)) is None


class _Inner(BaseModel, extra="forbid"):
    number: int


class _Settings(BaseModel):
    each: dict[str, _Inner | list[int]]


def test_problems_are_named_by_what_stands_in_the_file(tmp_path: Path) -> None:
    layers = layers_of(tmp_path, "each:\n  one:\n    number: many\n  two:\n    - 1\n    - few")
    with pytest.raises(ValidationError) as caught:
        _Settings.model_validate(layers.data)
    problems = layers.describe(caught.value, _Settings)
    assert f"{tmp_path}/0.yml:3: each.one.number: is no whole number" in problems
    assert f"{tmp_path}/0.yml:6: each.two.1: is no whole number" in problems


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [("numbr", "; did you mean number?"), ("Number", "; did you mean number?"), ("s3cret", "; there are: number")],
)
def test_an_unknown_key_is_named_with_the_one_that_may_be_meant(key: str, suggestion: str, tmp_path: Path) -> None:
    layers = layers_of(tmp_path, f"each:\n  one:\n    number: 1\n    {key}: 1")
    with pytest.raises(ValidationError) as caught:
        _Settings.model_validate(layers.data)
    assert f"{tmp_path}/0.yml:4: each.one.{key}: unknown key{suggestion}" in layers.describe(caught.value, _Settings)


def test_the_keys_of_each_kind_of_file_are_known() -> None:
    assert set(Settings.model_fields) == EXPORTER_KEYS
    assert set(Thresholds.model_fields) == ALERTING_KEYS


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("sources:\n  mlflow:\n  uri: u", ["3: sources.uri: unknown key; indent it further than mlflow, which it"]),
        (
            "sources:\n  mlflow:\n    uri: sqlite:///u\n    experiments:\n    include: [a]",
            ["5: sources.mlflow.include: unknown key; indent it further than experiments, which it belongs below"],
        ),
        ("mlflow: {uri: u}", ["1: mlflow: unknown key; it belongs below sources"]),
        ("level: info", ["1: level: unknown key; it belongs below log"]),
        ("sources: {mlflow: 'sqlite:///u'}", ["1: sources.mlflow: must hold settings: write `uri: ...` on a line of"]),
        ("sources: {mlflow: [a]}", ["1: sources.mlflow: must hold settings: write `uri: ...` on a line of its own"]),
        ("alert_labels: {a: b}", ["1: alert_labels: unknown key: it is a setting of alerts (--settings), whose file"]),
    ],
)
def test_what_stands_on_the_wrong_level_is_said_to_belong_elsewhere(text: str, problems: list[str], file: Path) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load(file, {})
    assert len(refused.value.problems) == len(problems)
    for said, problem in zip(refused.value.problems, problems, strict=True):
        assert said.startswith(f"{file}:{problem}"), said


def test_settings_of_the_exporter_are_not_taken_for_those_of_alerts(file: Path) -> None:
    file.write_text("sources: {}\nalerts: [a]\nlog: {}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read_thresholds(ALERTS, [file])
    elsewhere = "unknown key: it is a setting of the exporter (--config.file), whose file is another one"
    assert refused.value.problems == (
        f"{file}:1: sources: {elsewhere}",
        f"{file}:2: alerts: must be no list: write `NAME:` without a dash, and its settings indented below it",
        f"{file}:3: log: {elsewhere}",
    )


@pytest.mark.parametrize(("content", "said"), [("", "{path} is empty"), ("s3cret", "what {path} holds must begin")])
def test_what_a_file_of_a_secret_holds_is_said_to_come_from_it(content: str, said: str, file: Path) -> None:
    secret = file.with_name("uri")
    secret.write_text(content, encoding="utf-8")
    file.write_text(f"sources: {{mlflow: {{uri_file: {secret}}}}}", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load(file, {})
    (problem,) = refused.value.problems
    assert problem.startswith(f"{file}:1: sources.mlflow.uri_file: {said.format(path=secret)}")
    assert "s3cret" not in problem
