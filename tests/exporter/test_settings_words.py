"""Problems that pydantic finds are said in the words of the other messages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from ml_monitoring.exporter.settings_words import words


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (Annotated[int, Field(le=65535)], 70000, "must be at most 65535"),
        (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
        (Annotated[float, Field(gt=0)], 0, "must be above 0"),
        (Annotated[float, Field(lt=1)], 99.5, "must be below 1: write 0.995 for 99.5 %"),
        (Annotated[float, Field(allow_inf_nan=False)], float("inf"), "must be a finite number"),
        (float, "many", "is no number"),
        (int, 1.5, "is no whole number"),
        (Literal["gauge", "counter"], "count", "must be gauge or counter; did you mean counter?"),
        (Literal[".", ","], "x", "must be '.' or ','"),
        (Annotated[str, Field(min_length=1)], "", "must not be empty"),
        (Annotated[str, Field(max_length=3)], "many", "must have at most 3 characters"),
        (list[str], {"a": "b"}, "must be a list: begin each of its items with a dash"),
        (
            dict[str, str],
            [{"name": "a"}],
            "must be no list: write `a:` without a dash, and its settings indented below it",
        ),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(annotation: Any, value: object, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_python(value)
    assert words(caught.value.errors()[0], value) == said
