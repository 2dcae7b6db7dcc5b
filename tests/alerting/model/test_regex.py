"""Regular expressions are judged as Prometheus judges them: it compiles them when it reads its rules."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ml_monitoring.alerting.model import regex

TAKEN = (
    *("", "a", ".*", "a|b", "|a", "(|)", "()*", "^*", "a+?", "{", "a{", "a{,2}", "a{2}?", "a{1000}", "[]a]", "[^]a]"),
    *(
        "[a-]",
        "[[a]",
        "[1-[:a]",
        "[-[:alpha:](]",
        "[[:^alpha:]-z]",
        r"[\]\d\pL]",
        r"\p{^Greek}",
        r"\Qa(\E",
        r"\z",
        r"\x{41}",
        r"\_\-",
        "é",
        "]",
    ),
    *("(?i)a", "a(?i)*", "(?i-s:a)", "(?P<name>a)", r"\12", "(prod|test)-[0-9]{1,3}", "}"),
)
REFUSED = {
    "prod-(": "`(` at 6 is not closed",
    "(a": "`(` at 1 is not closed",
    "a)": "`)` at 2 closes no bracket",
    "[a": "a class that `[` opens is not closed, or has an escape that there is not: `[a` at 1",
    "[]": "a class that `[` opens is not closed, or has an escape that there is not: `[]` at 1",
    r"[\b]": r"a class that `[` opens is not closed, or has an escape that there is not: `[\b` at 1",
    "*": "`*` at 1 has nothing to repeat",
    "(+a)": "`+` at 2 has nothing to repeat",
    "a**": "`*` at 3 has nothing to repeat",
    "a++": "`+` at 3 has nothing to repeat",
    "a{2,1}": "`{2,1}` at 2 is no number of times from 0 to 1000",
    "a{1001}": "`{1001}` at 2 is no number of times from 0 to 1000",
    "a(?=b)": "RE2, which Prometheus uses, has no such group: `(?=` at 2",
    "(?x)a": "RE2, which Prometheus uses, has no such group: `(?x` at 1",
    r"(a)\1": r"there is no such escape: `\1` at 4",
    "a\\": "there is no such escape: `\\` at 2",
}


@pytest.mark.parametrize(("pattern", "said"), [*((pattern, "") for pattern in TAKEN), *REFUSED.items()])
def test_what_is_wrong_is_said_with_its_place(pattern: str, said: str) -> None:
    assert regex.problem_of(pattern) == said


def test_promtool_refuses_the_same(programs: dict[str, Path], tmp_path: Path) -> None:
    patterns = [*TAKEN, *REFUSED]
    rules = [
        {"record": "a:b:c", "expr": f"up{{job=~{json.dumps(pattern, ensure_ascii=False)}}}"} for pattern in patterns
    ]
    groups = [{"name": str(number), "rules": [rule]} for number, rule in enumerate(rules)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    done = subprocess.run(
        [programs["promtool"], "check", "rules", "--lint=none", tmp_path / "rules.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    refused = {patterns[int(number)] for number in re.findall(r'group "(\d+)"', done.stderr)}
    assert refused == set(REFUSED)
