"""Differences between rules are named by what they mean to those who are notified."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_monitoring.alerting.cli import main
from ml_monitoring.alerting.generate import files
from ml_monitoring.alerting.operate.changes import Version, compare

Json = dict[str, Any]
# As release 0.2.0 wrote them.
RELEASE = Path(__file__).parent / "release-0.2.0"
SECRET = "https://hooks.example.org/T0/hunter2"


def rule(name: str, expr: str = "heat > 20", **other: Any) -> Json:
    return {
        "alert": name,
        "expr": expr,
        "for": "5m",
        "labels": {"severity": "warning", "team": "platform"},
        "annotations": {"summary": f"{name} is so.", "runbook_url": "http://127.0.0.1/runbooks"},
    } | other


def version(*rules: Json, alertmanager: Json | None = None, others: dict[str, str] | None = None) -> Version:
    return Version([{"name": "group", "rules": list(rules)}], alertmanager, others or {})


def lines(old: Version, new: Version, *, everything: bool = False) -> list[str]:
    """Return the report but for the hint at its end, which has a test of its own."""
    return compare(old, new, everything=everything).partition("\n\nHow new and changed")[0].splitlines()


def labels(severity: str, team: str = "platform", **more: str) -> Json:
    return {"severity": severity, "team": team, **more}


def test_the_same_is_no_difference_and_neither_is_the_order() -> None:
    routing = {"route": {"receiver": "a"}, "receivers": [{"name": "a"}, {"name": "b"}]}
    other = {"receivers": [{"name": "b"}, {"name": "a"}], "route": {"receiver": "a"}}
    one, two = rule("Hot"), rule("Cold")
    assert compare(version(one, two, alertmanager=routing), version(two, one, alertmanager=other)) == ""


def test_what_notifies_no_more_comes_first_and_what_may_from_now_on() -> None:
    old = version(rule("Hot"), rule("Gone", "gone == 0", labels=labels("critical")))
    new = version(rule("Hot"), rule("Slow", "slow > 1"), rule("Down", "up < 1", labels=labels("critical", "mlops")))
    assert lines(old, new) == [
        "- alerts: 2 added, 1 removed",
        "",
        "### Notify you no more",
        "",
        "- **Gone** removed (critical, platform)",
        "",
        "### May notify you from now on",
        "",
        "- **Down** added (critical, mlops): `Down is so.`",
        "- **Slow** added (warning, platform): `Slow is so.`",
    ]


def test_receivers_left_without_a_channel_are_said_once_and_before_all_else() -> None:
    def receivers(*quiet: str) -> Json:
        names = ("platform-critical", "platform-warning", "ml-ops-warning", "growth-warning", "escalation", "unrouted")
        channels = {"slack_configs": [{"channel": "#ops"}], "webhook_configs": [{"url": SECRET}]}
        return {"receivers": [{"name": name} | ({} if name in quiet else channels) for name in names]}

    old = version(rule("Gone"), alertmanager=receivers("unrouted"))
    quiet = ("platform-warning", "ml-ops-warning", "growth-warning", "escalation", "unrouted")
    for everything in (False, True):
        assert lines(old, version(rule("Down", "up < 1"), alertmanager=receivers(*quiet)), everything=everything) == [
            "- receivers: 4 left without a channel",
            "- alerts: 1 added, 1 removed",
            "",
            "### Notify you no more",
            "",
            "- **warnings of platform, ml-ops, growth:** nobody is notified any more",
            "- **what goes to escalation:** nobody is notified any more",
            "- **Gone** removed (warning, platform)",
            "",
            "### May notify you from now on",
            "",
            "- **Down** added (warning, platform): `Down is so.`",
        ]
    assert not any("notified" in line for line in lines(old, version(rule("Gone"))))


def test_every_change_of_an_alert_is_shown_what_wakes_somebody_first() -> None:
    new = rule("Hot", "heat > 25", labels=labels("critical", "mlops", room="a"), keep_firing_for="7m") | {"for": "1m"}
    other = rule("Cold", "heat < 0 unless on (room) away")
    assert lines(version(rule("Hot"), rule("Cold", "heat < 0")), version(new, other)) == [
        "- alerts: 2 changed",
        "",
        "### Later or quieter",
        "",
        "- **Cold** condition added: `unless on (room) away`",
        "",
        "### Sooner in one way, later in another",
        "",
        "- **Hot** severity changed (sooner): `warning` → `critical`",
        "- **Hot** threshold changed (later): `> 20` → `> 25`",
        "- **Hot** `for` changed (sooner): `5m` → `1m`",
        "",
        "### Changed otherwise",
        "",
        "- **Hot** team changed: `platform` → `mlops`",
        "- **Hot** `keep_firing_for` (how much later its end is notified) added: `7m`",
        "- **Hot** label room added: `a`",
        "",
        "### Start over when Prometheus reads the new rules",
        "",
        "- **Hot** (other labels: room, severity, team): what fires is reported as ended, and again after its `for`",
    ]


STARTS_OVER = "what fires is reported as ended, and again after its `for`"
SOONER, LATER, OTHERWISE = "Sooner or louder", "Later or quieter", "Changed otherwise"


@pytest.mark.parametrize(
    ("old", "new", "direction"),
    [
        ({"expr": "heat > 20"}, {"expr": "heat > 9.5"}, SOONER),
        ({"expr": "heat >= 20"}, {"expr": "heat >= 25"}, LATER),
        ({"expr": "heat < -2"}, {"expr": "heat < -1"}, SOONER),
        ({"expr": "heat <= 1e3 and up"}, {"expr": "heat <= 200 and up"}, LATER),
        ({"expr": "5 < heat"}, {"expr": "4 < heat"}, SOONER),
        ({"expr": "heat > 20"}, {"expr": "heat < 10"}, OTHERWISE),
        ({"expr": "heat == 20"}, {"expr": "heat == 10"}, OTHERWISE),
        ({"expr": "heat > 20 * room"}, {"expr": "heat > 10 * room"}, OTHERWISE),
        ({"expr": "absent(heat > 20)"}, {"expr": "absent(heat > 10)"}, OTHERWISE),
        ({"expr": "up unless heat > 20"}, {"expr": "up unless heat > 10"}, OTHERWISE),
        ({"expr": "heat > 0.2"}, {"expr": "heat_percent > 15"}, OTHERWISE),
        ({"for": "1h30m"}, {"for": "45m"}, SOONER),
        ({"for": "90s"}, {"for": "2m"}, LATER),
        ({"for": None}, {"for": "1m"}, LATER),
        ({"for": "1m"}, {"for": None}, SOONER),
        ({"for": "soon"}, {"for": "later"}, OTHERWISE),
        ({"expr": "a > 1 and b >= 5"}, {"expr": "a > 1 and b >= 8"}, LATER),
        ({"expr": "a > 1 unless b >= 5"}, {"expr": "a > 1 unless b >= 8"}, SOONER),
        ({"expr": "a > 1 and (b - 1) * c < 5"}, {"expr": "a > 1 and (b - 1) * c < 8"}, SOONER),
        ({"expr": "a > 1 and absent(b > 5)"}, {"expr": "a > 1 and absent(b > 8)"}, OTHERWISE),
        ({"expr": "a > 1"}, {"expr": 'a{b="}"} > 1'}, LATER),
        ({"expr": 'a{c="d"} > 1 and e'}, {"expr": 'a{b=~"x|y",c="d"} > 1 and e'}, LATER),
        ({"expr": "absent(a)"}, {"expr": 'absent(a{b="c"})'}, OTHERWISE),
        ({"labels": labels("info")}, {"labels": labels("warning")}, SOONER),
        ({"labels": labels("critical")}, {"labels": labels("info")}, LATER),
        ({"labels": labels("info")}, {"labels": labels("none")}, OTHERWISE),
        ({"keep_firing_for": "7m"}, {"keep_firing_for": "1m"}, OTHERWISE),
    ],
)
def test_it_is_said_whether_an_alert_comes_sooner_or_later(old: Json, new: Json, direction: str) -> None:
    for before, after, title in (
        (old, new, direction),
        (new, old, {SOONER: LATER, LATER: SOONER}.get(direction, direction)),
    ):
        said = lines(version(rule("Hot", **before)), version(rule("Hot", **after)))
        assert said[2] == f"### {title}"
        starts_over = "labels" in old and "### Start over when Prometheus reads the new rules" in said
        assert sum(line.startswith("###") for line in said) == 1 + starts_over


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("a > 0.4 and b >= bool 5", "a > 0.45 and b >= bool 5", ["threshold changed: `> 0.4` → `> 0.45`"]),
        ("a > on (x) group_left (y) -1e3", "a > on (x) group_left (y) 2", ["threshold changed: `> -1000` → `> 2`"]),
        ("5 < a", "6 < a", ["threshold changed: `> 5` → `> 6`"]),
        # What follows from the threshold is not said.
        (
            "a > 0.15 and (a - 0.15) * sqrt(b) > 0.8307 and b >= 5",
            "a > 0.3 and (a - 0.3) * sqrt(b) > 1.066 and b >= 5",
            ["threshold changed: `> 0.15` → `> 0.3`"],
        ),
        (
            "a < 7 and (\n (f(0.9, b) < 7 and c >= 8)\n or d < 7)",
            "a < 6 and (\n (f(0.9, b) < 6 and c >= 8)\n or d < 6)",
            ["threshold changed: `< 7` → `< 6`"],
        ),
        # What does not follow from it is.
        (
            "(a - b > 0) > 0.15 and (a - 0.15) * sqrt(b) > 0.8307 and b >= 5",
            "(a - b > 0) > 0.3 and (a - 0.3) * sqrt(b) > 1.066 and b >= 8",
            [
                "threshold changed: `> 0.15` → `> 0.3`",
                "number beside the threshold changed: `and b >= 5` → `and b >= 8`",
            ],
        ),
        (
            "a > 3 and (a - 3) * sqrt(b) > 1.6 or b{x=')'} > 5",
            "a > 3 and (a - 3) * sqrt(b) > 2.3 or b{x=')'} > 6",
            [
                "number beside the threshold changed: `and (a - 3) * sqrt(b) > 1.6` → `and (a - 3) * sqrt(b) > 2.3`",
                'number beside the threshold changed: `or b{x=")"} > 5` → `or b{x=")"} > 6`',
            ],
        ),
        ("(a > 1) > 2", "(a > 5) > 2", ["number beside the threshold changed: `(a > 1) > 2` → `(a > 5) > 2`"]),
        ("(a > 1 or b > 2)", "(a > 2 or b > 2)", ["threshold changed: `> 1` → `> 2`"]),
        ("(a) > 2.0", "a > 2", []),
        ("a * 100 > 5", "a * 10 > 5", ["expression changed: `a * 100 > 5` → `a * 10 > 5`"]),
        ("rate(a[5m]) > 1", "rate(a[9m]) > 1", ["expression changed: `rate(a[5m]) > 1` → `rate(a[9m]) > 1`"]),
        ('a{b="> 4"} > 1', 'a{b="> 5"} > 1', ['matchers changed: `b="> 4"` → `b="> 5"`']),
        (
            "a > 1",
            "a > 2 and b > 3",
            ["threshold changed: `> 1` → `> 2`", "condition added: `and b > 3`"],
        ),
        ("a > 1", "a  >\n 1", []),
        (
            "a > 1",
            "a * 100 > 90",
            ["threshold changed: `1` → `90`", "expression changed: `a > 1` → `a * 100 > 90`"],
        ),
        ("absent(a)", "a == 0", ["expression changed: `absent(a)` → `a == 0`"]),
    ],
)
def test_numbers_behind_comparisons_are_told_from_the_rest_of_an_expression(
    old: str, new: str, shown: list[str]
) -> None:
    said = lines(version(rule("Hot", old)), version(rule("Hot", new)))
    assert [line.removeprefix("- **Hot** ") for line in said if line.startswith("- **")] == shown


def test_a_renamed_alert_is_known_by_its_expression_or_its_summary() -> None:
    old = version(rule("Heat", "heat > 20"), rule("Cold", "cold > 1"), rule("A", "same"), rule("B", "same"))
    cold = rule("MlCold", "frost > 1") | {"annotations": rule("Cold")["annotations"]}
    new = version(rule("MlHeat", "heat > 25"), cold, rule("C", "same"), rule("D", "same"))
    said = lines(old, new)
    assert said[0] == "- alerts: 2 added, 2 removed, 2 renamed, 2 changed, 1 with other links or texts"
    assert said[said.index("### Renamed alerts") :] == [
        "### Renamed alerts",
        "",
        "- **Heat** is called **MlHeat**",
        "- **Cold** is called **MlCold**",
        "",
        "### Later or quieter",
        "",
        "- **MlHeat** threshold changed: `> 20` → `> 25`",
        "",
        "### Changed otherwise",
        "",
        "- **MlCold** expression changed: `cold > 1` → `frost > 1`",
        "",
        "### Start over when Prometheus reads the new rules",
        "",
        "- **MlHeat, MlCold** (other labels: alertname): what fires is reported as ended, and again after its `for`",
    ]


def test_what_many_alerts_have_in_common_is_one_line_and_names_stand_where_it_wakes_somebody() -> None:
    names = [f"Alert{number}" for number in range(6)]
    old = version(*map(rule, names), rule("Other"))
    new = version(*(rule(name, keep_firing_for="7m", labels=labels("info")) for name in names), rule("Other"))
    assert lines(old, new)[4:] == [
        f"- **{', '.join(names)}** severity changed: `warning` → `info`",
        "",
        "### Changed otherwise",
        "",
        "- **6 of 7 alerts** `keep_firing_for` (how much later its end is notified) added: `7m`",
        "",
        "### Start over when Prometheus reads the new rules",
        "",
        f"- **{', '.join(names)}** (other labels: severity): {STARTS_OVER}",
    ]
    assert sum("keep_firing_for" in line for line in lines(old, new, everything=True)) == 6


def test_alerts_in_another_group_start_over() -> None:
    old, new = (Version([{"name": name, "rules": [rule("Hot")]}]) for name in ("house.alerts", "home.alerts"))
    assert lines(old, new)[-1] == (
        "- **Hot** (in another group): what fires is reported as ended, and again after its `for`"
    )


def test_what_changed_of_many_alerts_in_another_way_each_is_one_line() -> None:
    names = [f"Alert{number}" for number in range(6)]
    old = version(*(rule(name, f"a > {number}") for number, name in enumerate(names, 1)))
    new = version(*(rule(name, f"a > {number * 2}") for number, name in enumerate(names, 1)))
    each = "; ".join(f"**{name}** `> {number}` → `> {number * 2}`" for number, name in enumerate(names, 1))
    assert lines(old, new)[4:] == [f"- **6 of 6 alerts** threshold changed: {each}"]


def test_of_many_changed_expressions_the_names_are_listed() -> None:
    names = [f"Alert{number}" for number in range(21)]
    old = version(*(rule(name, f"a{name}") for name in names))
    new = version(*(rule(name, f"b{name}") for name in names))
    assert lines(old, new)[4:] == [f"- **21 of 21 alerts** expression changed; `--all` shows how: {', '.join(names)}"]
    assert "- **Alert3** expression changed: `aAlert3` → `bAlert3`" in lines(old, new, everything=True)


def test_alerts_with_one_name_are_told_apart_by_severity() -> None:
    both = [rule("Hot", labels=labels("warning")), rule("Hot", "heat > 30", labels=labels("critical"))]
    new = [both[0], rule("Hot", "heat > 40", labels=labels("critical"))]
    assert lines(version(*both), version(*new))[4:] == ["- **Hot (critical)** threshold changed: `> 30` → `> 40`"]
    assert lines(version(*both), version(both[0]))[4:] == ["- **Hot (critical)** removed (critical, platform)"]


def test_recording_rules_links_and_texts_are_counted_and_listed_when_all_is_asked_for() -> None:
    def recorded(name: str, expr: str) -> Json:
        return {"record": name, "expr": expr}

    texts = {"summary": "Hot is so.", "runbook_url": "http://127.0.0.1/books"}
    old = version(recorded("a", "x"), recorded("b", "x"), recorded("c", "x"), rule("Hot"))
    new = version(recorded("b", "y"), recorded("c", " x"), recorded("d", "x"), rule("Hot", annotations=texts))
    counted = ["- alerts: 1 with other links or texts", "- recording rules: 1 added, 1 removed, 1 changed"]
    assert lines(old, new) == counted
    assert lines(old, new, everything=True) == [
        *counted,
        "",
        "### Recording rules",
        "",
        "- **a** removed",
        "- **b** changed: `x` → `y`",
        "- **d** added",
        "",
        "### Links and texts",
        "",
        "- **Hot** runbook_url changed: `http://127.0.0.1/runbooks` → `http://127.0.0.1/books`",
    ]


def test_alerts_are_named_by_which_a_recording_rule_that_they_read_changed_critical_ones_first() -> None:
    def of_window(window: str) -> Version:
        return version(
            {"record": "a:heat", "expr": f"rate(heat[{window}])"},
            {"record": "b:heat", "expr": "max(a:heat)"},
            rule("Warm", "b:heat > 1"),
            rule("Hot", "a:heat > 2", labels=labels("critical")),
            rule("Other", 'heat{x="a:heat"} > 2'),
        )

    assert lines(of_window("5m"), of_window("15m")) == [
        "- alerts: 2 reading changed recording rules",
        "- recording rules: 1 changed",
        "",
        "### Changed otherwise",
        "",
        "- **Hot, Warm** by the recording rule a:heat: `[5m]` → `[15m]`",
    ]


def test_alerts_that_read_a_recording_rule_that_is_gone_come_first_and_say_why() -> None:
    alerts = [
        rule("Hot", "a:heat > 5"),
        rule("Warm", "max by (job) (b:heat) > 5 and (a:heat > 1 or c:heat > 1)"),
        rule("Cold", "c:heat < 5 unless a:heat > 1"),
        rule("Quiet", "c:heat < 9"),
    ]
    records = [{"record": "a:heat", "expr": "max(heat)"}, {"record": "b:heat", "expr": "a:heat * 2"}]
    renamed = [{"record": "d:heat", "expr": "max(heat)"}, records[1]]
    why = "it reads a:heat{}, which no rule records any more"
    for after, now in ((records[1:], ""), (renamed, " (now d:heat)")):
        listed = lines(version(*records, *alerts), version(*after, *alerts))
        assert listed[0] == "- alerts: 2 that can never fire again"
        assert listed[2:] == [
            "",
            "### Notify you no more",
            "",
            f"- **Hot** can never fire again: {why.format(now)}",
            f"- **Warm** can never fire again: {why.format(now)}",
            "",
            "### Changed otherwise",
            "",
            f"- **Cold** {why.removeprefix('it ').format(now)}",
        ]


def test_a_comparison_that_is_turned_round_is_said() -> None:
    turned = lines(version(rule("Hot", "heat < 20")), version(rule("Hot", "heat > 20")))
    assert turned[4] == "- **Hot** expression changed, its comparison is turned round: `heat < 20` → `heat > 20`"


def test_a_group_with_another_name_is_said_without_an_empty_line_above() -> None:
    old, new = (Version([{"name": name, "rules": [rule("Hot")]}]) for name in "ab")
    assert lines(old, new)[0] == "### Start over when Prometheus reads the new rules"


def test_notice_of_the_end_and_when_alerts_count_as_ended_are_said_in_words() -> None:
    old, new = (
        {
            "route": {"receiver": "a"},
            "receivers": [{"name": "a", "slack_configs": [{"channel": "#a", "send_resolved": value}]}],
            **({} if value else {"global": {"resolve_timeout": "1h"}}),
        }
        for value in (True, False)
    )
    assert lines(version(alertmanager=old), version(alertmanager=new))[4:] == [
        "- **receiver a** slack changed (send_resolved): no notice of the end of alerts",
        "- **global** resolve_timeout changed: `nothing` → `1h`",
    ]


def _named(rules: Path) -> dict[str, Json]:
    groups = yaml.safe_load((rules / "alerts.yml").read_text("utf-8"))["groups"]
    return {one["alert"]: one for group in groups for one in group["rules"]}


def test_the_upgrade_from_release_0_2_0_is_said_in_full_on_about_two_screens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "--settings", "/dev/null", "--output-dir", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["diff", str(RELEASE), str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    old, new = _named(RELEASE), _named(tmp_path)
    alone = [line.split("**")[1] for line in said if "** added (" in line]
    folded = [name for line in said if "what each says: " in line for name in line.split("says: ")[1].split(", ")]
    assert {*alone, *folded} == {*new} - {*old}
    assert {name for name in {*new} - {*old} if new[name]["labels"]["severity"] == "critical"} <= {*alone}
    assert "- **MlflowMetricWorseThanBest** threshold changed (sooner): `> 0.2` → `> 0.1`" in said
    kept = sum("keep_firing_for" in new[name] for name in old if name in new)
    waits = "`keep_firing_for` (how much later its end is notified)"
    assert f"- **{kept} of {len({*old} & {*new})} alerts** {waits} added: `7m`" in said
    (conditions,) = (line for line in said if "condition added; `--all` shows how: " in line)
    assert "MlPredictionsStopped" in conditions
    assert len(said) < 70
    assert main(["diff", "--all", str(RELEASE), str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "- **MlPredictionsStopped** condition added: `and origin:ml_predictions:missing >= 20`" in said
    place = said.index("- **AbTestSampleRatioMismatch** expression changed:")
    assert said[place + 1 : place + 3] == [
        "  - before: `origin:ab_test_split:p_value < 0.001 and on (cluster, job, namespace, origin) "
        'sum without (metric) (metric_origin:ab_test_trials:min{metric="errors"}) >= 500`',
        "  - after: `origin:ab_test_split:p_value < 0.001 and origin:ab_test_requests:min >= 500`",
    ]


def test_the_command_at_the_end_of_changes_of_alerts_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    said = compare(version(rule("Hot")), version(rule("Hot", "heat > 25"))).splitlines()[-1]
    assert said == (
        "How new and changed alerts would have fired on your history, with the `--settings` that NEW was written with: "
        "`ml-monitoring alerts backtest --days 14`"
    )
    command = shlex.split(said.rpartition(": ")[2].strip("`"))
    assert main([*command[2:], "--prometheus", "http://127.0.0.1:1"]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err
    assert "backtest" not in compare(version(rule("Hot")), version(rule("Hot", annotations={})))


@pytest.mark.parametrize(
    ("description", "shown"),
    [
        ("It took {{ $value | humanizeDuration }}.", "`> 10m` → `> 1h30m`"),
        ("It took {{$value|humanizeDuration}} of {{ $labels.room }}.", "`> 10m` → `> 1h30m`"),
        ("It was {{ $value }} for {{ 600.0 | humanizeDuration }}.", "`> 600` → `> 5400`"),
    ],
)
def test_thresholds_of_seconds_are_durations(description: str, shown: str) -> None:
    both = [rule("Slow", f"age > {limit}", annotations={"description": description}) for limit in (600, 5400)]
    assert lines(version(both[0]), version(both[1]))[2:] == [
        "### Later or quieter",
        "",
        f"- **Slow** threshold changed: {shown}",
    ]
    assert lines(version(both[1]), version(both[0]))[2] == "### Sooner or louder"


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("a > 1", "a > 1 and b unless c > 3", [LATER, "added: `and b unless c > 3`"]),
        ("a > 1", "a > 1 or b > 2", [SOONER, "added: `or b > 2`"]),
        ("a > 1 and (a - 1) > c and d > 2", "a > 1 and d > 2", [SOONER, "removed: `and (a - 1) > c`"]),
        ("a > 1 or b > 2", "a > 1", [LATER, "removed: `or b > 2`"]),
        ("a > 1", "a > 1 or b and c", [OTHERWISE, "- **Hot** expression changed: `a > 1` → `a > 1 or b and c`"]),
    ],
)
def test_a_condition_that_came_or_went_is_shown_alone(old: str, new: str, shown: list[str]) -> None:
    said = lines(version(rule("Hot", old)), version(rule("Hot", new)))[2:]
    found = [line.removeprefix("### ").removeprefix("- **Hot** condition ") for line in said if line]
    assert found == shown


def test_a_threshold_that_is_met_sooner_beside_a_condition_more_is_both_ways_whatever_labels_are_matched() -> None:
    old, new = "a > 2 and on (x) b < 5", "a > 1 and on (store, x) b < 5 and c > 3"
    assert lines(version(rule("Hot", old)), version(rule("Hot", new)))[2:] == [
        "### Sooner in one way, later in another",
        "",
        "- **Hot** threshold changed (sooner): `> 2` → `> 1`",
        "- **Hot** condition added (later): `and c > 3`",
        "",
        "### Changed otherwise",
        "",
        f"- **Hot** expression changed: `{old}` → `{new}`",
    ]


@pytest.mark.parametrize(
    "expr",
    [
        'sum by(b, a)(rate(x{room=~"a|b, c", house="1"}[300s])) > 5',
        'sum by (a,b) (rate(x{\n  house="1",\n  room=~"a|b, c",\n}[5m]))  > 5 # why',
        'sum by (a, b) (rate(x{house = "1", room =~ "a|b, c"}[5m])) > 5',
    ],
)
def test_the_order_of_matchers_and_labels_and_white_space_change_nothing(expr: str) -> None:
    plain = 'sum by (a, b) (rate(x{house="1",room=~"a|b, c"}[5m])) > 5'
    assert compare(version(rule("Hot", plain)), version(rule("Hot", expr))) == ""


@pytest.mark.parametrize("key", ["for", "keep_firing_for"])
@pytest.mark.parametrize(("old", "new"), [("60s", "1m"), ("2m", "120s"), ("0s", None)])
def test_the_same_time_in_another_unit_is_no_change(key: str, old: str, new: str | None) -> None:
    assert compare(version(rule("Hot") | {key: old}), version(rule("Hot") | {key: new})) == ""


def test_alternatives_in_another_order_are_the_same() -> None:
    one, other = (rule("Hot", f'heat{{room=~"{names}"}} > 20') for names in ("a|b c", "b c|a"))
    assert compare(version(one), version(other)) == ""
    # Brackets are no names.
    one, other = (rule("Hot", f'heat{{room=~"{names}"}} > 20') for names in ("(a|b)c", "b)c|(a"))
    assert compare(version(one), version(other))


def test_files_that_another_folder_lacks_and_those_of_git(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("old", "new"):
        shutil.copytree(files.DEFAULT_DIRECTORY, tmp_path / name)
    new = tmp_path / "new"
    (new / "prometheus.yml").unlink()
    (new / "alertmanager.yml").unlink()
    (new / "notifications.tmpl").write_text("other", encoding="utf-8")
    assert main(["diff", str(tmp_path / "old"), str(new), "--exit-code"]) == 1
    assert capsys.readouterr().out.splitlines()[4:] == [
        "- **alertmanager.yml** no longer written: Alertmanager has nothing to load, and notifies nobody",
        "",
        "### Alertmanager and other files",
        "",
        "- **notifications.tmpl** changed",
        "- **prometheus.yml** no longer written",
    ]
    for one, other in ((new, new), (new / "alerts.yml", new / "alerts.yml")):
        assert main(["diff", str(one), str(other), "--exit-code"]) == 0
        assert capsys.readouterr().out == "No differences.\n"
    assert main(["diff", "HEAD:alerting/generated", "HEAD:alerting/generated"]) == 0
    assert capsys.readouterr().out == "No differences.\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"groups: [hunter2", r":1: cannot be read as YAML: .* not closed"),
        (b"a: !!python/object:hunter2 {}", r":1: cannot be read as YAML: a tag has no meaning here \(column 4\).*"),
        (b"\x89PNG\r\n", r": cannot be read: not UTF-8; is it a text file\? save it as UTF-8"),
        (b"[" * 2_000, r": cannot be read as YAML: is it a file of rules\?"),
        (b"groups: 5", r": groups: not as Prometheus reads rules; `promtool check rules \S+` says where"),
        (b"groups: [{rules: [{alert: a, labels: hunter2}]}]", r": groups: not as Prometheus reads rules; .*"),
        (b"receivers: hunter2", r": not as Alertmanager reads it; `amtool check-config \S+` says where"),
        (b"scrape_configs: []", r": no rules in it; give a folder that `ml-monitoring alerts generate` wrote"),
        (b"", r": no rules in it; .*"),
    ],
)
def test_files_that_are_no_rules_are_named_without_their_content(
    content: bytes, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "alerts.yml"
    path.write_bytes(content)
    for arguments in ([str(path), str(RELEASE)], [str(RELEASE), str(path)]):
        assert main(["diff", *arguments]) == 2
        said = capsys.readouterr().err
        assert re.fullmatch(rf"error: {re.escape(str(path))}{problem}\n", said)
        assert "hunter" not in said


def test_a_folder_that_there_is_not_and_one_without_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "rules.old", str(RELEASE)]) == 2
    assert capsys.readouterr().err == "error: rules.old: no such file or folder\n"
    assert main(["diff", str(RELEASE), str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path}: no rules in it; give a folder that `ml-monitoring alerts generate` wrote\n"
    )


def test_a_folder_is_not_compared_with_one_of_its_files_nor_rules_with_a_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, rules, routes = (str(RELEASE / name) for name in ("", "alerts.yml", "alertmanager.yml"))
    for old, new, kinds in (
        (folder, rules, "OLD is a folder and NEW a file of rules"),
        (rules, folder, "OLD is a file of rules and NEW a folder"),
        (routes, rules, "OLD is a configuration of Alertmanager and NEW a file of rules"),
    ):
        assert main(["diff", old, new]) == 2
        assert capsys.readouterr().err == (
            f"error: {kinds}, which cannot be compared: give two folders, or twice the same file\n"
        )


def test_another_interval_of_all_groups_is_one_line_in_words() -> None:
    old, new = (
        Version([{"name": name, "rules": [rule(name)]} | more for name in ("a", "b")])
        for more in ({}, {"interval": "2m"})
    )
    assert lines(old, new) == [
        "- groups: 1 changed",
        "",
        "### Changed otherwise",
        "",
        "- **each of all 2 groups** is evaluated every (`interval`): `global.evaluation_interval` → `2m`",
    ]


def test_promql_that_prometheus_will_not_load_comes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, expr in (("old", "heat > 20"), ("new", "sum(heat > 20")):
        groups = [{"name": "g", "rules": [rule("Hot", expr), rule("Cold")]}]
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    assert main(["diff", str(tmp_path / "old.yml"), str(tmp_path / "new.yml")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[said.index("### Notify you no more") + 2] == (
        "- **Hot** Prometheus will not load the rules, as its expression is none: unclosed left parenthesis"
    )
