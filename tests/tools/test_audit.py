"""What is taken from others is known: pins, licences, advisories, and what could not be found out is said."""

from __future__ import annotations

import json
from email.message import Message
from pathlib import Path

import pytest

from tools.audit import licences
from tools.audit.cli import Audit
from tools.image_digests import DigestError, ask_docker, pin
from tools.stack import ROOT

_PINS = [ROOT / name for name in ("requirements.txt", "requirements-dev.txt", "docker/exporter/requirements.txt")]


def _package(**fields: str) -> Message:
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


def test_every_pinned_package_has_a_licence_that_is_allowed() -> None:
    names = licences.pinned(_PINS)
    assert len(names) > 100
    assert [*licences.problems(names)] == []


def test_no_exception_is_left_of_a_package_that_is_gone() -> None:
    assert licences.EXCEPTIONS.keys() <= licences.pinned(_PINS).keys()


def test_a_licence_that_is_not_allowed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = {
        "free": _package(License_Expression="MIT OR Apache-2.0"),
        "old": _package(Classifier="License :: OSI Approved :: BSD License"),
        "strict": _package(License_Expression="GPL-3.0-only"),
        "silent": _package(),
    }
    monkeypatch.setattr(licences, "metadata", packages.__getitem__)
    assert [*licences.problems(packages)] == [
        "strict: licence GPL-3.0-only is not on the list of tools/audit/licences.py",
        "silent: licence none is not on the list of tools/audit/licences.py",
    ]


@pytest.mark.parametrize(
    ("report", "asked", "text"),
    [
        ("", False, "NOT CHECKED: no source of advisories could be reached"),
        ({"a": {"skip_reason": "?"}}, False, "NOT CHECKED: no source of advisories could be reached"),
        ({"a": {"vulns": []}, "b": {"skip_reason": "?"}}, False, "none known in 1 packages; NOT CHECKED: b"),
        ({"a": {"vulns": []}}, True, "none known in 1 packages"),
        ({"a": {"vulns": [{"id": "X-1"}, {"id": "X-2"}]}}, True, "a: X-1, X-2 in 1 packages"),
    ],
)
def test_what_could_not_be_asked_does_not_look_safe(report: object, asked: bool, text: str) -> None:
    if isinstance(report, dict):
        report = json.dumps({"dependencies": [{"name": name, **each} for name, each in report.items()]})
    audit = Audit(str(report))
    assert (audit.asked, audit.text) == (asked, text)


def test_images_are_pinned_by_digest_and_pinned_again() -> None:
    first, second = (f"sha256:{digit * 64}" for digit in "ab")
    text = "# Images\nPROMETHEUS_IMAGE=prom/prometheus:v3.15.0\n"
    pinned = pin(text, lambda _image: first)
    assert pinned == f"# Images\nPROMETHEUS_IMAGE=prom/prometheus:v3.15.0@{first}\n"
    assert pin(pinned, lambda _image: second) == pinned.replace(first, second)


def test_without_docker_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DigestError, match="there is no docker command"):
        ask_docker("prom/prometheus:v3.15.0")
