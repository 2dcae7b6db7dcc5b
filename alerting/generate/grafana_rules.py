"""The alerts as rules that Grafana evaluates itself, for teams without Alertmanager.

A rule has three steps, those that Grafana gives to Prometheus rules that it imports (its source:
`pkg/services/ngalert/prom/query.go`): the whole condition as an instant query, a check that a series has any value,
also 0 or NaN, and a threshold on that check. Recorded series still come from Prometheus: Grafana 9.4 records none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from ml_monitoring.alerting.domains import alert_groups, load_alerts
from ml_monitoring.alerting.model.alert import BoundAlert
from ml_monitoring.alerting.model.links import panel_id
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.alerting.model.yamltext import Commented

# Marks the rules as ours: the policy tree has one branch for them, whatever else the organisation is notified of.
OWN_LABEL: Final = "stack"
OWN: Final = "ml-monitoring"
# Grafana takes multiples of 10 s only, so Prometheus's 15 s are none.
INTERVAL_SECONDS: Final = 30
EXPRESSION: Final = "__expr__"

_QUERY, _HAS_VALUE, _CONDITION = "A", "B", "C"
_VALUE = re.compile(r"\{\{ (?P<before>[^{}]*)\$value\b(?P<after>[^{}]*) \}\}")
_LABEL_PIPELINE = re.compile(r"\{\{ \$labels\.(?P<label>\w+) \| (?P<functions>.+?) \}\}")


def build(thresholds: Thresholds, *, datasource: str) -> list[dict[str, Any]]:
    """Return the groups of rules, without the folder that they go to; disabled alerts are left out.

    Args:
        thresholds: The numbers.
        datasource: Uid of the Prometheus in Grafana.
    """
    enabled = {alert.name: alert for alert in load_alerts(thresholds)}
    groups = []
    for topic, alerts in alert_groups(thresholds).items():
        bound = [enabled[alert.name] for alert in alerts if alert.name in enabled]
        if bound:
            rules = [Commented(alert.condition, _rule(alert, datasource)) for alert in bound]
            groups.append({"name": f"{OWN}-{topic}", "rules": rules})
    return groups


def uid(*parts: str) -> str:
    """Return a uid that stays the same from release to release; Grafana takes at most 40 characters."""
    return f"{OWN}-{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:20]}"


def annotation(text: str) -> str:
    """Return an annotation's template as Grafana reads it.

    There `$value` is a sentence about all steps, so the number is taken from the query. What is missing is no empty
    string, but fails when it is piped into a function: a label that a series does not have, and the number while the
    condition holds for nothing, of which Grafana's log would be full.
    """
    text = _LABEL_PIPELINE.sub(r"{{ with $labels.\g<label> }}{{ . | \g<functions> }}{{ end }}", text)
    return _VALUE.sub(rf"{{{{ with $values.{_QUERY} }}}}{{{{ \g<before>.Value\g<after> }}}}{{{{ end }}}}", text)


def _rule(alert: BoundAlert, datasource: str) -> dict[str, Any]:
    dashboard, panel = alert.signal.dashboard, panel_id(alert.signal.name)
    return {
        "uid": uid(alert.name),
        "title": alert.name,
        "condition": _CONDITION,
        "for": alert.numbers.for_,
        # A condition that holds for no series has no series: that is what health looks like. Series that are missing
        # have alerts of their own.
        "noDataState": "OK",
        # A rule that cannot be evaluated fires `DatasourceError`, which has a policy of its own.
        "execErrState": "Error",
        "labels": alert.rule_labels | {OWN_LABEL: OWN},
        "annotations": {
            **{name: annotation(text) for name, text in alert.annotations.items()},
            # With these Grafana shows the rule's state on the panel.
            "__dashboardUid__": dashboard,
            "__panelId__": str(panel),
        },
        "data": [
            _step(_QUERY, datasource, "prometheus", {"expr": alert.expr, "instant": True, "range": False}),
            _step(
                _HAS_VALUE,
                EXPRESSION,
                EXPRESSION,
                {"type": "math", "expression": " || ".join(f"{test}(${_QUERY})" for test in _TESTS)},
            ),
            _step(
                _CONDITION,
                EXPRESSION,
                EXPRESSION,
                {
                    "type": "threshold",
                    "expression": _HAS_VALUE,
                    "conditions": [{"evaluator": {"type": "gt", "params": [0]}}],
                },
            ),
        ],
    }


_TESTS: Final = ("is_number", "is_nan", "is_inf")


def _step(ref_id: str, source: str, kind: str, model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "refId": ref_id,
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": source,
        "model": {"refId": ref_id, "datasource": {"type": kind, "uid": source}, **model},
    }
