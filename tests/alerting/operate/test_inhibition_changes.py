"""Another inhibition is louder or quieter only where it mutes fewer or more of the alerts that there are."""

from __future__ import annotations

from typing import Any

import pytest

from ml_monitoring.alerting.operate.changes import Version, compare

Json = dict[str, Any]
DOWN: Json = {
    "source_matchers": ['alertname="Down"', 'team=~"a|b"'],
    "target_matchers": ['team=~"a|b"'],
    "equal": ["job"],
}


def rules(**own: str) -> list[Json]:
    alerts = [("Down", "critical", "a"), ("Slow", "warning", "a"), ("Full", "warning", "b")]
    return [
        {
            "name": "rules",
            "rules": [
                {"alert": name, "expr": name, "labels": {"severity": severity, "team": team} | own}
                for name, severity, team in alerts
            ],
        }
    ]


def config(*inhibitions: Json) -> Json:
    return {"route": {"receiver": "x"}, "receivers": [{"name": "x"}], "inhibit_rules": [*inhibitions]}


def said(old: Json, new: Json) -> list[str]:
    return compare(Version(rules(), old), Version(rules(), new)).splitlines()[2:]


@pytest.mark.parametrize(
    ("target", "title"),
    [
        (['team=~"a|b|c"'], "Alertmanager and other files"),
        (['team=~"a"'], "Sooner or louder"),
        (['team=~"a|b"', 'severity="warning"'], "Sooner or louder"),
        (['team=~".*"', 'stack=""'], "Sooner or louder"),
        (['team="c"'], "Sooner or louder"),
    ],
)
def test_a_change_is_listed_by_what_is_muted_from_now_on(target: list[str], title: str) -> None:
    lines = said(config(DOWN), config(DOWN | {"target_matchers": target}))
    assert lines[0] == f"### {title}"


def test_a_label_that_all_alerts_have_got_makes_nothing_louder() -> None:
    ours = {side: [*DOWN[side], 'stack="ours"'] for side in ("source_matchers", "target_matchers")}
    report = compare(Version(rules(), config(DOWN)), Version(rules(stack="ours"), config(DOWN | ours)))
    assert "Sooner or louder" not in report
    assert 'matchers added, the same alerts as before are muted by it: `stack="ours"`' in report


def test_an_inhibition_that_came_names_the_alerts_that_it_may_mute() -> None:
    assert said(config(), config(DOWN))[:3] == [
        "### Later or quieter",
        "",
        "- **inhibition** added, by which Down, Full, Slow may be muted while Down fires: "
        '`alertname="Down", team=~"a|b" mutes team=~"a|b", same job`',
    ]


def test_an_alert_of_another_severity_says_what_it_mutes_no_more_and_what_mutes_it() -> None:
    present = ['mountpoint!=""', 'job!=""']
    critical = {
        "source_matchers": ['severity="critical"', *present],
        "target_matchers": ['severity="warning"', *present],
        "equal": ["job", "mountpoint"],
    }

    def version(severity: str) -> Version:
        alerts = {"Full": (severity, "mountpoint"), "Filling": ("warning", "mountpoint"), "Slow": ("warning", "x")}
        alerts["Broken"] = ("critical", "mountpoint")
        listed = [
            {
                "alert": name,
                "expr": "x",
                "labels": {"severity": one},
                "annotations": {"description": f"{{{{ $labels.{label} }}}}"},
            }
            for name, (one, label) in alerts.items()
        ]
        return Version([{"name": "rules", "rules": listed}], config(critical))

    down = compare(version("critical"), version("warning"))
    assert "- **Full** no longer mutes Filling, as its labels changed" in down
    assert "- **Full** is muted while Broken fires, as its labels changed" in down
    up = compare(version("warning"), version("critical"))
    assert "- **Full** mutes Filling, as its labels changed" in up
    assert "- **Full** is no longer muted while Broken fires, as its labels changed" in up
    assert "Slow" not in down + up
