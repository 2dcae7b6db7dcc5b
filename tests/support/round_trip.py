"""What a library's types lose of something that they read and write again."""

from __future__ import annotations

from collections.abc import Iterator


def lost(given: object, back: object, path: str = "") -> Iterator[str]:
    """Yield where something given did not come back as it was."""
    if isinstance(given, dict) and isinstance(back, dict):
        for key, value in given.items():
            if key in back:
                yield from lost(value, back[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        for index, (one, other) in enumerate(zip(given, back, strict=True)):
            yield from lost(one, other, f"{path}[{index}]")
    elif given != back:
        yield f"{path}: {given!r} became {back!r}"
