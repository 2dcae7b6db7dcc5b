from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from ml_monitoring.exporter.values import Duration, FileSecret, Model, Names, OneLine, Patterns, merge

_DURATION: TypeAdapter[float] = TypeAdapter(Duration)
_NAMES: TypeAdapter[tuple[str, ...]] = TypeAdapter(Names)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15s", 15),
        ("1m30s", 90),
        (" 1h30m ", 5400),
        ("250ms", 0.25),
        ("2d", 172800),
        ("1w", 604800),
    ],
)
def test_durations_are_read_as_seconds(text: object, seconds: float) -> None:
    assert _DURATION.validate_python(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "5 m", "1x", "-5s", "0s", "nan", "inf", "7", "1.5h", "30m1h", 7, 0.5, -1, 0, None, [5]]
)
def test_what_is_no_positive_duration_is_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        _DURATION.validate_python(text)


def test_names_are_a_list_or_comma_separated_text() -> None:
    assert _NAMES.validate_python("a, b,,c ") == ("a", "b", "c")
    assert _NAMES.validate_python(["a, b", "c"]) == ("a, b", "c")


@pytest.mark.parametrize(
    ("include", "exclude", "name", "matches"),
    [
        (("*",), (), "line\nbreak", True),
        (("prod-*",), (), "prod-churn", True),
        (("prod-*",), (), "Prod-churn", False),
        (("*",), ("*-old",), "churn-old", False),
        (("a?", "b[12]"), (), "b2", True),
        ((), (), "anything", False),
    ],
)
def test_patterns_choose_names(include: tuple[str, ...], exclude: tuple[str, ...], name: str, matches: bool) -> None:
    assert Patterns(include=include, exclude=exclude).matches(name) is matches


def test_merge_lays_one_mapping_on_another_key_by_key() -> None:
    base = {"web": {"host": "a", "port": 1}, "log": {"level": "info"}}
    assert merge(base, {"web": {"port": 2}, "log": "text"}) == {"web": {"host": "a", "port": 2}, "log": "text"}
    assert base == {"web": {"host": "a", "port": 1}, "log": {"level": "info"}}


@pytest.mark.parametrize("text", ["sqlite:////x", "sqlite:////x\n", "\nsqlite:////x\r\n"])
def test_the_end_of_a_line_is_no_part_of_a_secret(text: str) -> None:
    assert TypeAdapter(OneLine).validate_python(text).get_secret_value() == "sqlite:////x"


def test_a_secret_of_several_lines_is_refused_without_any_of_them(tmp_path: Path) -> None:
    said = "holds more than one line, where the address or secret alone belongs"
    file = tmp_path / "uri"
    file.write_text("sqlite:////x\nhidden\n")
    with pytest.raises(ValueError, match=f"^{file} {said}$"):
        FileSecret(file)
    with pytest.raises(ValidationError, match=said) as caught:
        TypeAdapter(OneLine).validate_python("sqlite:////x\nhidden")
    assert "hidden" not in caught.value.errors()[0]["msg"]


class _Section(Model):
    port: int = 1
    share: float | None = None
    is_on: bool = False
    folder: Path | None = None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"port": True}, "true is no number"),
        ({"share": False}, "false is no number"),
        ({"folder": ""}, "is empty: give a path, or delete the key"),
    ],
)
def test_what_is_of_another_kind_is_no_value(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        _Section.model_validate(given)


def test_what_is_of_its_kind_is_a_value() -> None:
    section = _Section.model_validate({"port": "9", "share": 1, "is_on": True, "folder": "a"})
    assert section == _Section(port=9, share=1.0, is_on=True, folder=Path("a"))
