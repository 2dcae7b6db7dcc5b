import json
import logging

import pytest

from ml_monitoring.exporter import logs
from ml_monitoring.exporter.logs import event

_log = logging.getLogger("ml_monitoring.exporter.test")


def _line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.rstrip("\n")


def test_logfmt_quotes_what_needs_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("info", "logfmt")
    event(_log, logging.INFO, "source up", source="mlflow", series=3, empty="", text='a "b"\nc')
    line = _line(capsys)
    assert line.startswith("ts=20")
    assert line.endswith(r'level=info msg="source up" source=mlflow series=3 empty="" text="a \"b\"\nc"')


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("info", "json")
    event(_log, logging.WARNING, "left out\nrow", source="mlflow")
    record = json.loads(_line(capsys))
    assert {**record, "ts": ""} == {"ts": "", "level": "warning", "msg": "left out\nrow", "source": "mlflow"}


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_no_password_is_logged_no_matter_who_put_it_there(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("info", form)  # type: ignore[arg-type]  # parametrized text
    event(
        _log,
        logging.ERROR,
        "bad postgresql://u:s3cret@h/d",
        error="also postgresql+psycopg2://u:s3c@ret@h and password=s3cret",
    )
    try:
        raise RuntimeError("postgresql://u:s3cret@h/d")
    except RuntimeError:
        _log.exception("defect")
    text = capsys.readouterr().err
    assert "s3c" not in text
    assert "postgresql://***@h/d" in text


def test_the_level_counts(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("error", "logfmt")
    event(_log, logging.WARNING, "unseen")
    assert _line(capsys) == ""
