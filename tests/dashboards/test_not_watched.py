"""A light that no rule can change says so, instead of a green word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ml_monitoring.dashboards.cli import main


def lights(folder: Path, settings: str) -> dict[str, set[str]]:
    """Return the titles of the lights that say "not watched" where nothing fires, by page."""
    own = folder / "own.yml"
    own.write_text(settings)
    assert main(["generate", "--settings", str(own), "--output-dir", str(folder / "pages")]) == 0
    pages = [json.loads(path.read_text()) for path in (folder / "pages").glob("*/*.json")]
    found = {page["title"]: {panel["title"] for panel in page["panels"] if _is_unwatched(panel)} for page in pages}
    return {title: names for title, names in found.items() if names}


def _is_unwatched(panel: dict[str, Any]) -> bool:
    mappings = panel.get("fieldConfig", {}).get("defaults", {}).get("mappings", ())
    words = [mapping["options"].get("-2", {}).get("text") for mapping in mappings]
    return "not watched" in words and panel["targets"][0]["expr"].endswith(" or vector(-2)")


_WITHOUT_COMPONENTS = {
    "Operations overview": {"Hosts", "PostgreSQL", "Monitoring", "Logs"},
    "System infrastructure": {"State"},
    "GPUs": {"State"},
}


_FLEET = ("IncidentProbabilityHigh", "ServerCritical", "ManyServersDegraded", "FileNotAdvancing", "BadRowsRatioHigh")
_NO_FLEET = f"alerts: {{{', '.join(f'Fleet{name}: null' for name in _FLEET)}}}"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("{}", {}),
        ("components: []", _WITHOUT_COMPONENTS),
        (
            "components: [gpus]",
            {**_WITHOUT_COMPONENTS, "Operations overview": {"PostgreSQL", "Monitoring", "Logs"}, "GPUs": set()},
        ),
        # Whether as a component or alert by alert.
        (_NO_FLEET, {"Operations overview": {"Fleet"}, "Fleet incident": {"State"}}),
    ],
)
def test_what_the_settings_leave_without_a_rule_is_not_watched(
    settings: str, expected: dict[str, set[str]], tmp_path: Path
) -> None:
    assert lights(tmp_path, settings) == {title: names for title, names in expected.items() if names}
