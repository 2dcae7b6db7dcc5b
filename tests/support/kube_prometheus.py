"""The part of kube-prometheus that lives beside ours: its general rules, and its Alertmanager's routes and inhibitions.

Written for the tests after what kube-prometheus 0.18 does (`kubePrometheus-prometheusRule.yaml`, group `general.rules`,
and `alertmanager-secret.yaml`):

- `Watchdog` always fires, and `InfoInhibitor` for each information alert in a namespace in which no warning or critical
  alert fires; both have severity `none`.
- Inhibitions: critical mutes warning and info, and warning mutes info, of the same namespace and name; `InfoInhibitor`
  mutes everything of severity info in its namespace. Two alerts without a namespace are in the same one.
- Routes: `Watchdog` has a receiver of its own, `InfoInhibitor` goes nowhere, critical alerts have theirs, the rest the
  default one.
- The Operator puts the routes of each AlertmanagerConfig before these, and goes on after them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

RULES: Final[Mapping[str, Any]] = {
    "groups": [
        {
            "name": "general.rules",
            "rules": [
                {"alert": "Watchdog", "expr": "vector(1)", "labels": {"severity": "none"}},
                {
                    "alert": "InfoInhibitor",
                    "expr": 'ALERTS{severity = "info"} == 1 unless on (namespace) ALERTS{alertname != "InfoInhibitor", '
                    'severity =~ "warning|critical", alertstate="firing"} == 1',
                    "labels": {"severity": "none"},
                },
            ],
        }
    ]
}

INHIBITIONS: Final[tuple[Mapping[str, Any], ...]] = (
    {
        "source_matchers": ['severity = "critical"'],
        "target_matchers": ['severity =~ "warning|info"'],
        "equal": ["namespace", "alertname"],
    },
    {
        "source_matchers": ['severity = "warning"'],
        "target_matchers": ['severity = "info"'],
        "equal": ["namespace", "alertname"],
    },
    {
        "source_matchers": ['alertname = "InfoInhibitor"'],
        "target_matchers": ['severity = "info"'],
        "equal": ["namespace"],
    },
)


def beside(ours: Mapping[str, Any], webhook: str) -> dict[str, Any]:
    """Return kube-prometheus's configuration of Alertmanager with ours in it.

    Args:
        ours: What `alertmanager.build` returns.
        webhook: Where its own receivers post to.
    """
    at_once = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
    posts = [{"url": webhook, "send_resolved": False}]
    return {
        "templates": ours["templates"],
        "route": {
            "receiver": "Default",
            "group_by": ["namespace"],
            **at_once,
            "routes": [
                {**ours["route"], "continue": True},
                {"matchers": ['alertname = "Watchdog"'], "receiver": "Watchdog"},
                {"matchers": ['alertname = "InfoInhibitor"'], "receiver": "null"},
                {"matchers": ['severity = "critical"'], "receiver": "Critical"},
            ],
        },
        "inhibit_rules": [*ours["inhibit_rules"], *INHIBITIONS],
        "receivers": [
            *ours["receivers"],
            {"name": "null"},
            *({"name": name, "webhook_configs": posts} for name in ("Default", "Watchdog", "Critical")),
        ],
    }
