"""Differences between configurations of Alertmanager are named without a secret or an address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ml_monitoring.alerting.operate.changes import Version, compare

Json = dict[str, Any]
SECRET = "https://hooks.example.org/T0/hunter2"


def lines(old: Json, new: Json, *, everything: bool = False) -> list[str]:
    return compare(Version(alertmanager=old), Version(alertmanager=new), everything=everything).splitlines()


def routing() -> Json:
    webhook = {"url": SECRET, "send_resolved": True}
    return {
        "global": {"smtp_auth_password": "hunter1"},
        "route": {
            "receiver": "nobody",
            "group_by": ["alertname"],
            "routes": [
                {"matchers": ['team="a"'], "routes": [{"match": {"severity": "info"}, "repeat_interval": "1d"}]},
                {"matchers": ['team="b"'], "receiver": "b"},
            ],
        },
        "inhibit_rules": [{"source_matchers": ['a="1"'], "target_matchers": ['a="2"'], "equal": ["job", "x"]}],
        "receivers": [
            {"name": "nobody"},
            {"name": "a", "webhook_configs": [webhook]},
            {"name": "b", "slack_configs": [{"api_url": SECRET}], "webhook_configs": [webhook, webhook]},
        ],
    }


def _all_of_it(config: Json) -> None:
    config["global"] = {"smtp_auth_password": "hunter3", "smtp_from": "a@example.org"}
    config["templates"] = ["x.tmpl"]
    route = config["route"]
    route["group_by"] = ["alertname", "test_fire"]
    route["routes"][0]["routes"] = [{"match": {"severity": "info"}, "repeat_interval": "1h", "continue": True}]
    route["routes"][1] = {"matchers": ['team="c"'], "receiver": "c", "routes": [{"matchers": ["x=y"]}]}
    config["inhibit_rules"][0]["equal"] = ["job"]
    config["receivers"][1] = {"name": "a"}
    config["receivers"][2]["slack_configs"] = [{"api_url": SECRET + "3", "channel": "#new"}]
    config["receivers"][2]["webhook_configs"].pop()
    config["receivers"].append({"name": "c", "pagerduty_configs": [{"routing_key": "hunter4"}]})


def _order(config: Json) -> None:
    config["route"]["routes"].reverse()


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (
            _all_of_it,
            [
                "- **receiver b** channels of webhook changed: `2` → `1`",
                "- **receiver c** added (pagerduty)",
                "- **first route** group_by changed: `alertname` → `alertname, test_fire`",
                '- **route team="a" / severity="info"** repeat_interval changed: `1d` → `1h`',
                '- **route team="a" / severity="info"** continue changed: `nothing` → `True`',
                '- **route team="b"** removed: `b`',
                '- **route team="c"** added: `c`',
                "- **templates** added",
            ],
        ),
        (_order, ["- **routes** are in another order"]),
    ],
    ids=["everything", "order"],
)
def test_who_is_notified_is_said_without_a_secret_or_an_address(
    change: Callable[[Json], None], shown: list[str]
) -> None:
    old, new = routing(), routing()
    change(new)
    for everything in (False, True):
        said = lines(old, new, everything=everything)
        assert f"- Alertmanager and other files: {len(shown)} changed" in said
        assert said[said.index("### Alertmanager and other files") + 2 :] == shown
        assert "hunter" not in "".join(said)


def test_credentials_stand_where_it_is_said_who_is_notified() -> None:
    old, new = routing(), routing()
    for place, config in enumerate((old, new)):
        config["receivers"][2]["webhook_configs"] = [
            {"url": SECRET, "http_config": {"authorization": {"credentials_file": f"/run/{place}"}}}
        ]
        config["global"] = {"smtp_auth_password": f"hunter{place}"}
    assert lines(old, new) == [
        "- credentials: 2 changed",
        "",
        "### Notify you only if the new credentials are right",
        "",
        "- **receiver b** webhook changed (http_config.authorization.credentials_file)",
        "- **global** changed (smtp_auth_password)",
    ]


def test_what_many_receivers_have_in_common_is_one_line() -> None:
    old: Json = {"route": {}, "receivers": [{"name": str(n), "webhook_configs": [{"url": SECRET}]} for n in range(5)]}
    new: Json = {"route": {}, "receivers": [{"name": str(n), "webhook_configs": [{"url": "x"}]} for n in range(5)]}
    old["inhibit_rules"] = [{"source_matchers": [str(number)]} for number in range(5)]
    new["inhibit_rules"] = [{"source_matchers": [str(number)]} for number in range(3, 10)]
    assert lines(old, new)[3:] == [
        "### Later or quieter",
        "",
        "- **inhibitions** 2 added",
        "",
        "### Changed otherwise",
        "",
        "- **inhibitions** 3 changed",
        "",
        "### Alertmanager and other files",
        "",
        "- **5 receivers** webhook changed (url)",
    ]


@pytest.mark.parametrize(
    "key", ["routes", "inhibit_rules", "receivers", "webhook_configs", "matchers", "equal", "match"]
)
def test_what_alertmanager_would_not_read_either_stops_no_comparison(key: str) -> None:
    odd: Any
    for odd in (None, 5, "x", [5], {"a": 5}, [{"a": None}]):
        config: Json = {
            "route": {"routes": [{key: odd}], key: odd},
            "receivers": [{"name": "a", key: odd}],
            "inhibit_rules": [{key: odd}],
        } | {key: odd}
        assert lines(config, routing())
        assert lines(routing(), config, everything=True)
