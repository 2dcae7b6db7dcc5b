"""What a file holds that is neither CSV nor Parquet, by its first bytes."""

from __future__ import annotations

import codecs
import re
from typing import Final

_SAVE: Final = "save it as CSV"
# Beginning, what it is, and what makes it one that can be read.
_SIGNATURES: Final = (
    (codecs.BOM_UTF16_LE, "is UTF-16", "save it as UTF-8"),
    (codecs.BOM_UTF16_BE, "is UTF-16", "save it as UTF-8"),
    (b"\xd0\xcf\x11\xe0", "is a file of an old Excel or another Office program", _SAVE),
    (b"SQLite format 3\0", "is an SQLite database", "the source queries reads one; or write it out as CSV"),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd", "unpack it, or pack it with gzip"),
    (b"\xfd7zXZ", "is packed with xz", "unpack it, or pack it with gzip"),
    (b"BZh", "is packed with bzip2", "unpack it, or pack it with gzip"),
    (b"ARROW1", "is a file of Arrow or Feather", "write it as Parquet"),
    (b"ORC", "is a file of ORC", "write it as Parquet"),
    (b"Obj\x01", "is a file of Avro", "write it as Parquet"),
)
_ZIP: Final = b"PK\x03\x04"
# What an archive of Excel or OpenOffice has in its first entries.
_SHEET: Final = (b"[Content_Types].xml", b"xl/", b"_rels/", b"docProps/", b"opendocument")
_JSON: Final = re.compile(rb"\s*(\{\s*(\"|$)|\[\s*([\[{\"]|$))")
_MARKUP: Final = re.compile(rb"\s*<(\?xml|!doctype|html)\b", re.IGNORECASE)


def other_format(start: bytes) -> tuple[str, str] | None:
    """Return what a file is and how it becomes one that can be read; None where it may be CSV.

    Args:
        start: Its first line, or as much of it as there is.
    """
    if start.startswith(_ZIP):
        if any(name in start for name in _SHEET):
            return "is an Excel file", _SAVE
        return "is a zip archive", "unpack it, or pack it with gzip; if it is of a spreadsheet, save that as CSV"
    if found := next((each for each in _SIGNATURES if start.startswith(each[0])), None):
        return found[1:]
    text = start.removeprefix(codecs.BOM_UTF8)
    if _JSON.match(text):
        return "is JSON", "CSV or Parquet is read"
    if _MARKUP.match(text):
        return "is HTML or XML", "CSV or Parquet is read"
    return None
