"""Contact points, notification policies, mute timings and messages of Grafana, made from what Alertmanager gets.

Alertmanager's configuration is translated and not built a second time, so both notify the same people of the same
alerts at the same times. What Grafana has not got: inhibition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ml_monitoring.alerting.generate import alertmanager
from ml_monitoring.alerting.generate.grafana_rules import OWN, OWN_LABEL, uid
from ml_monitoring.alerting.generate.inhibition import MATCHER
from ml_monitoring.alerting.generate.inline import DEFINITION
from ml_monitoring.alerting.model.thresholds import Thresholds

Json = dict[str, Any]
TEMPLATE: Final = OWN
# Grafana's own contact point: the root of the policies where nobody is notified of alerts that no policy matches.
GRAFANA_DEFAULT: Final = "grafana-default-email"
# Always: Grafana has no contact point without an address, so a policy that notifies nobody is muted.
NEVER: Final = f"{OWN}-never"
_EXECUTION_FAILED = "DatasourceError|DatasourceNoData"
# As long as one critical alert waits that Prometheus answers nothing, so that a restart of it notifies nobody.
_EXECUTION_WAIT = "2m"
_LINKS: Final = alertmanager.TEMPLATES_DIRECTORY / "grafana" / "links.tmpl"


class Writing(Protocol):
    """How texts are written for who reads them: files of Grafana's provisioning, or its API."""

    def secret(self, path: str) -> str:
        """Return what stands for the content of a file."""

    def literal(self, text: str) -> str:
        """Return what stands for a text of the settings."""


class ForFiles:
    """For files: Grafana replaces `$__file{...}` and variables when it reads them."""

    def secret(self, path: str) -> str:
        """Return the reference; the file is read by Grafana, so it is named as Grafana sees it."""
        return f"$__file{{{path}}}"

    def literal(self, text: str) -> str:
        """Return the text with each dollar twice, which Grafana reads as one."""
        return text.replace("$", "$$")


@dataclass(frozen=True, slots=True)
class GrafanaNotifications:
    """All that Grafana needs to notify people.

    Attributes:
        contact_points: Name and integrations of each.
        policy: The branch of the policy tree for the project's alerts.
        unmatched: Contact point of alerts that no policy matches; empty when nobody is notified.
        mute_times: Name and intervals of each.
        template: The texts of messages.
    """

    contact_points: tuple[Json, ...]
    policy: Json
    unmatched: str
    mute_times: tuple[Json, ...]
    template: str


def build(thresholds: Thresholds, writing: Writing, *, default: str = GRAFANA_DEFAULT) -> GrafanaNotifications:
    """Return contact points, policies, mute timings and texts.

    Args:
        thresholds: Teams, channels and times.
        writing: How secrets and texts of the settings are written.
        default: Contact point that policies name where nobody is notified, since each must name one; they are muted.
    """
    config = alertmanager.build(thresholds=thresholds)
    points: tuple[Json, ...] = tuple(
        {"name": _own(receiver["name"]), "receivers": integrations}
        for receiver in config["receivers"]
        if receiver["name"] != alertmanager.DEPLOYMENT_TEST
        if (integrations := list(_integrations(receiver, writing)))
    )
    reached = {point["name"] for point in points}
    intervals = [
        {"name": _own(interval["name"]), "time_intervals": interval["time_intervals"]}
        for interval in config.get("time_intervals", [])
    ]
    policy = {"object_matchers": [[OWN_LABEL, "=", OWN]], **_policy(config["route"], reached, default)}
    policy["routes"].insert(0, _execution_failed(thresholds, reached, default))
    if NEVER in str(policy):
        whole_day = {"times": [{"start_time": "00:00", "end_time": "24:00"}]}
        intervals.append({"name": NEVER, "time_intervals": [whole_day]})
    unrouted = _own(alertmanager.UNROUTED)
    return GrafanaNotifications(points, policy, unrouted if unrouted in reached else "", tuple(intervals), _template())


def _own(name: str) -> str:
    return f"{OWN}-{name}"


def _policy(route: Mapping[str, Any], reached: set[str], above: str) -> Json:
    """Return a route of Alertmanager as a policy of Grafana, where each names its contact point.

    Args:
        route: The route.
        reached: Names of contact points that there are.
        above: Contact point of the policy above.
    """
    policy: Json = {"object_matchers": [_matcher(text) for text in route["matchers"]]} if "matchers" in route else {}
    policy |= {key: value for key, value in route.items() if key not in {"receiver", "matchers", "routes"}}
    mutes = [_own(name) for name in policy.pop("mute_time_intervals", [])]
    name = _own(route["receiver"]) if "receiver" in route else above
    if name in reached or "receiver" not in route:
        policy["receiver"] = name
    else:
        policy["receiver"] = above
        mutes = [NEVER]
    policy |= {"mute_time_intervals": mutes} if mutes else {}
    children = [
        _policy(child, reached, policy["receiver"])
        for child in route.get("routes", [])
        if child.get("receiver") != alertmanager.DEPLOYMENT_TEST
    ]
    return policy | ({"routes": children} if children else {})


def _matcher(text: str) -> list[str]:
    match = MATCHER.fullmatch(text)
    if match is None:
        raise ValueError(f"{text}: not a matcher that this module can read")
    return [match["label"], match["operator"], match["value"]]


def _execution_failed(thresholds: Thresholds, reached: set[str], default: str) -> Json:
    """Return the policy for rules that cannot be evaluated: one notification, however many rules it are."""
    team = thresholds.alerts["MlMonitoringDown"].team
    critical = thresholds.notifications.critical
    route = {
        "receiver": f"{team}-critical",
        "matchers": [f'alertname=~"{_EXECUTION_FAILED}"'],
        "group_by": ["alertname"],
        "group_wait": _EXECUTION_WAIT,
        "group_interval": critical.group_interval,
        "repeat_interval": critical.repeat_interval,
    }
    return _policy(route, reached, default)


def _integrations(receiver: Mapping[str, Any], writing: Writing) -> Iterator[Json]:
    place = 0
    for kind, translate in _KINDS.items():
        for entry in receiver.get(kind, []):
            name, settings = translate(entry, writing)
            yield {
                "uid": uid("contact point", receiver["name"], str(place)),
                "type": name,
                "settings": settings,
                "disableResolveMessage": not entry["send_resolved"],
            }
            place += 1


def _webhook(entry: Mapping[str, Any], writing: Writing) -> tuple[str, Json]:
    url = writing.secret(entry["url_file"]) if "url_file" in entry else writing.literal(entry["url"])
    settings: Json = {"url": url} | ({"maxAlerts": entry["max_alerts"]} if "max_alerts" in entry else {})
    authorization = entry.get("http_config", {}).get("authorization")
    if authorization is None:
        return "webhook", settings
    credentials = writing.secret(authorization["credentials_file"])
    return "webhook", settings | {
        "authorization_scheme": "Bearer",
        "authorization_credentials": credentials,
    }


def _email(entry: Mapping[str, Any], writing: Writing) -> tuple[str, Json]:
    # Server, sender and password are those of Grafana's own settings, `[smtp]`.
    addresses = ";".join(address.strip() for address in entry["to"].split(","))
    return "email", {"addresses": writing.literal(addresses), "subject": _text("subject"), "message": _text("text")}


def _slack(entry: Mapping[str, Any], writing: Writing) -> tuple[str, Json]:
    return "slack", {
        "url": writing.secret(entry["api_url_file"]),
        "recipient": writing.literal(entry["channel"]),
        "title": _text("slack.subject"),
        "text": _text("slack"),
    }


def _pagerduty(entry: Mapping[str, Any], writing: Writing) -> tuple[str, Json]:
    return "pagerduty", {
        "integrationKey": writing.secret(entry["routing_key_file"]),
        "severity": entry["severity"],
        "summary": _text("subject"),
    }


def _msteams(entry: Mapping[str, Any], writing: Writing) -> tuple[str, Json]:
    return "teams", {
        "url": writing.secret(entry["webhook_url_file"]),
        "title": _text("markdown.subject"),
        "message": _text("markdown"),
    }


_KINDS: Final[Mapping[str, Callable[[Mapping[str, Any], Writing], tuple[str, Json]]]] = {
    "webhook_configs": _webhook,
    "email_configs": _email,
    "slack_configs": _slack,
    "pagerduty_configs": _pagerduty,
    "msteamsv2_configs": _msteams,
}


def _text(name: str) -> str:
    return f'{{{{ template "ml.{name}" . }}}}'


def _template() -> str:
    """Return Alertmanager's texts with links to Grafana's pages in place of Alertmanager's."""
    links = _LINKS.read_text("utf-8")
    own = _names(links)
    texts = "".join((alertmanager.TEMPLATES_DIRECTORY / name).read_text("utf-8") for name in alertmanager.TEMPLATES)
    return DEFINITION.sub(lambda match: "" if match["name"] in own else match[0], texts) + links


def _names(texts: str) -> Sequence[str]:
    return re.findall(r'define "([\w.]+)"', texts)
