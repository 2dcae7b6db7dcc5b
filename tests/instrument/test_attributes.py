"""Attributes that are set at a recorder instead of what they belong to."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from ml_monitoring.instrument import Recorder


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("model", "score", "it belongs to the Prediction of `with model.track_prediction() as ...`"),
        ("model", "output_tokens", "it belongs to the Generation of `with model.generate() as ...`"),
        ("model", "confidance", "there is no such attribute; did you mean 'confidence'?"),
        ("recorder", "labels", "it is an argument of Recorder"),
        ("recorder", "max_label_sets", "it is an argument of Recorder"),
        ("recorder", "set_variant", "it is a method, which is called as set_variant(...)"),
        ("cache", "set_size", "it is a method, which is called as set_size(...)"),
        ("experiment", "zzz", "there is no such attribute"),
    ],
)
def test_an_attribute_that_nothing_reads_is_said(
    kind: str, name: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    made: Any = recorder if kind == "recorder" else getattr(recorder, kind)("m")
    setattr(made, name, 0.5)
    (line,) = caplog.messages
    assert line.startswith(f"{type(made).__name__} at {__file__}:")
    assert line.partition(": ")[2] == f"setting {name!r} has no effect: {said}, and the program goes on"


def test_a_method_may_be_replaced_in_a_test(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    model = Recorder(registry=CollectorRegistry()).model("m")
    monkeypatch.setattr(model, "record_outcome", lambda _: None)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("model", "record_predicton", "ModelRecorder has no 'record_predicton'; did you mean 'record_prediction'?"),
        ("cache", "record_hits", "CacheRecorder has no 'record_hits'; did you mean 'record_hit'?"),
        ("recorder", "record_outcome", "Recorder has no 'record_outcome': it is a method of ModelRecorder"),
        ("model", "record_hit", "ModelRecorder has no 'record_hit': it is a method of CacheRecorder"),
        ("experiment", "zzz", "ExperimentRecorder has no 'zzz'"),
        ("recorder", "__deepcopy__", "Recorder has no '__deepcopy__'"),
    ],
)
def test_of_a_method_that_there_is_not_is_said_which_is_meant(kind: str, name: str, said: str) -> None:
    recorder = Recorder(registry=CollectorRegistry())
    made: Any = recorder if kind == "recorder" else getattr(recorder, kind)("m")
    assert not hasattr(made, name)
    with pytest.raises(AttributeError) as caught:
        getattr(made, name)
    assert str(caught.value) == said
    # An interpreter would ask the same again.
    assert "Did you mean" not in "".join(traceback.format_exception(caught.value))
