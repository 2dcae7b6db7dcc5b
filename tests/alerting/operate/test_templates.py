"""What is said of templates without Go is what Go says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.operate.templates import of_go, problem_of
from tests.support.extensions import ALERT, write_example

BROKEN = {
    "{{ $labels.stage }: {{ $value }}.": 'no template of an alert: unexpected "}" in operand',
    "{{ $value | humanise }}.": "no function humanise; did you mean humanize?",
    "{{ labels.stage }} waits.": "no function labels; did you mean $labels?",
    "{{ $label.stage }} waits.": "no variable $label; did you mean $labels?",
    "{{ $value | printf %.0f }}.": 'no template of an alert: unexpected "%" in operand',
    "{{ frobnicate $value }}.": "no function frobnicate",
    "It is { {{ $value": "no template of an alert: unclosed action",
}
RIGHT = (
    "No action, } or { or %.",
    '{{ $labels.region }}: {{ printf "%.0f }} {" $value }}.',
    "{{- if gt $value 1.5e3 -}} much {{- else if eq $labels.a `x}}` }} x {{ else }} little {{ end }}.",
    "{{ with $x := $value }}{{ $x }}{{ end }}.",
    "{{/* a {note} */}}{{ $value | humanizePercentage }}.",
    '{{ range query "up" }}{{ .Labels.job }} {{ .Value | humanize1024 }} {{ $ }}{{ end }}.',
    "{{ (index $labels (print `a` `b`)) }} {{ not true }} {{ .Value }}.",
)


def test_what_is_said_is_what_promtool_says(programs: dict[str, Path], tmp_path: Path) -> None:
    texts = (*BROKEN, *RIGHT)
    groups = [
        {"name": str(number), "rules": [{"alert": "Own", "expr": "up", "annotations": {"description": text}}]}
        for number, text in enumerate(texts)
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    done = subprocess.run(
        [programs["promtool"], "check", "rules", "--lint=none", "rules.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.findall(r'group "(\d+)", rule 1, "Own": annotation "description": template: \w+:\d+: (.*)', done.stderr)
    assert {texts[int(number)]: of_go(said) for number, said in found} == BROKEN
    assert {text: said for text in texts if (said := problem_of(text))} == BROKEN


def test_without_promtool_a_broken_template_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = write_example(tmp_path)
    path = tmp_path / f"monitoring/alerts/{ALERT}.yml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("{{ $value }}", "{{ $value | humanise }}"), encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["generate", "--settings", str(settings), "--output-dir", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: {path}:13: description: no function humanise; did you mean humanize?"
    )
