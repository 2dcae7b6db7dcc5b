"""Data inside an HTML page's script element."""

from __future__ import annotations

import json
from typing import Any


def json_for_script(value: Any) -> str:
    """Return a value as JSON that ends no script element and begins no comment in it, whatever texts it holds."""
    # Only within strings of JSON there is a `<`; its escape means the same to JavaScript.
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str).replace("<", "\\u003c")
