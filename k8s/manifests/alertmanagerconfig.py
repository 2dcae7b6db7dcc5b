"""Alertmanager's configuration as the Prometheus Operator takes it: an AlertmanagerConfig instead of a file.

It says the same in other words: camel case, matchers in parts, and keys of a Secret where the file names files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ml_monitoring.alerting.generate.channels import MESSAGES
from ml_monitoring.alerting.generate.inline import inlined
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.k8s.manifests.objects import NOTIFICATIONS_SECRET, Json, labelled

_MATCHER = re.compile(r'(?P<name>[a-zA-Z_]\w*)(?P<type>=~|!~|!=|=)"(?P<value>(?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_ROUTE = {
    "receiver": "receiver",
    "group_by": "groupBy",
    "group_wait": "groupWait",
    "group_interval": "groupInterval",
    "repeat_interval": "repeatInterval",
    "continue": "continue",
    "mute_time_intervals": "muteTimeIntervals",
    "active_time_intervals": "activeTimeIntervals",
}


def alertmanager_config(namespace: str, config: Mapping[str, Any]) -> Json:
    """Return the object for a configuration.

    Args:
        namespace: Namespace of the object, and of the alerts that it is for.
        config: What `alerting.alertmanager.build` returns.

    Raises:
        ConfigError: If it uses something that the Operator has no word for.
    """
    spec: Json = {
        "route": _route(config["route"]),
        # The Operator has no place for files of templates, and a message whose template is missing is not sent at all.
        "receivers": [_receiver(inlined(receiver)) for receiver in config["receivers"]],
        "inhibitRules": [
            {
                "sourceMatch": _matchers(rule["source_matchers"]),
                "targetMatch": _matchers(rule["target_matchers"]),
                "equal": list(rule["equal"]),
            }
            for rule in config["inhibit_rules"]
        ],
    }
    if "time_intervals" in config:
        spec["muteTimeIntervals"] = [
            {"name": each["name"], "timeIntervals": [_interval(part) for part in each["time_intervals"]]}
            for each in config["time_intervals"]
        ]
    unknown = config.keys() - {"route", "receivers", "inhibit_rules", "time_intervals", "templates"}
    if unknown:
        raise ConfigError([f"AlertmanagerConfig: no place for {', '.join(sorted(unknown))}"])
    return labelled("AlertmanagerConfig", "monitoring.coreos.com/v1alpha1", "ml-monitoring", namespace) | {"spec": spec}


def messages() -> dict[str, Json]:
    """Return what messages of the stack's own channels say, by the Operator's name of each kind."""
    return {
        _camel(kind): _entry(kind, inlined({**text, "send_resolved": True}))
        for kind, text in MESSAGES.items()
        if kind in _CHANNELS
    }


def _route(route: Mapping[str, Any]) -> Json:
    result: Json = {}
    for key, value in route.items():
        if key == "matchers":
            result["matchers"] = _matchers(value)
        elif key == "routes":
            result["routes"] = [_route(child) for child in value]
        else:
            result[_ROUTE[key]] = value
    return result


def _matchers(matchers: Sequence[str]) -> list[Json]:
    return [_matcher(text) for text in matchers]


def _matcher(text: str) -> Json:
    match = _MATCHER.fullmatch(text)
    if match is None:
        raise ConfigError([f"AlertmanagerConfig: not a matcher: {text}"])
    return {
        "name": match["name"],
        "matchType": match["type"],
        "value": _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], match["value"]),
    }


def _receiver(receiver: Mapping[str, Any]) -> Json:
    result: Json = {"name": receiver["name"]}
    for kind, entries in receiver.items():
        if kind == "name":
            continue
        if kind not in _CHANNELS:
            name = receiver["name"]
            raise ConfigError([f"AlertmanagerConfig: {name}: the Operator has no {kind}; give Alertmanager its file"])
        result[_camel(kind)] = [_entry(kind, entry) for entry in entries]
    return result


def _entry(kind: str, entry: Mapping[str, Any]) -> Json:
    words = _CHANNELS[kind]
    return dict(words[key](value) for key, value in entry.items() if value not in (None, ""))


_Word = Callable[[Any], tuple[str, Any]]


def _same(name: str) -> _Word:
    return lambda value: (name, value)


def _secret(name: str) -> _Word:
    """Take the key of the Secret that is called as the file is."""
    return lambda path: (name, {"name": NOTIFICATIONS_SECRET, "key": PurePosixPath(path).name})


def _pairs(name: str) -> _Word:
    return lambda mapping: (name, [{"key": key, "value": value} for key, value in mapping.items()])


def _http(value: Mapping[str, Any]) -> tuple[str, Any]:
    path = value["authorization"]["credentials_file"]
    return "httpConfig", {"authorization": {"credentials": _secret("")(path)[1]}}


_CHANNELS: Mapping[str, Mapping[str, _Word]] = {
    "webhook_configs": {
        "url": _same("url"),
        "url_file": _secret("urlSecret"),
        "http_config": _http,
        "max_alerts": _same("maxAlerts"),
        "send_resolved": _same("sendResolved"),
    },
    "email_configs": {
        "to": _same("to"),
        "from": _same("from"),
        "smarthost": _same("smarthost"),
        "require_tls": _same("requireTLS"),
        "headers": _pairs("headers"),
        "text": _same("text"),
        "html": _same("html"),
        "auth_username": _same("authUsername"),
        "auth_password_file": _secret("authPassword"),
        "send_resolved": _same("sendResolved"),
    },
    "slack_configs": {
        "api_url_file": _secret("apiURL"),
        "channel": _same("channel"),
        "color": _same("color"),
        "fallback": _same("fallback"),
        "title": _same("title"),
        "title_link": _same("titleLink"),
        "text": _same("text"),
        "mrkdwn_in": _same("mrkdwnIn"),
        "send_resolved": _same("sendResolved"),
    },
    "pagerduty_configs": {
        "routing_key_file": _secret("routingKey"),
        "description": _same("description"),
        "severity": _same("severity"),
        "client": _same("client"),
        "client_url": _same("clientURL"),
        "details": _pairs("details"),
        "url": _same("url"),
        "send_resolved": _same("sendResolved"),
    },
}


def _interval(interval: Mapping[str, Any]) -> Json:
    if "location" in interval:
        raise ConfigError(["AlertmanagerConfig: times of silence cannot have a location; give them in UTC"])
    result: Json = {}
    for key, value in interval.items():
        if key == "times":
            result["times"] = [{"startTime": part["start_time"], "endTime": part["end_time"]} for part in value]
        elif key == "days_of_month":
            ends = [str(part).partition(":") for part in value]
            result["daysOfMonth"] = [{"start": int(first), "end": int(last or first)} for first, _, last in ends]
        else:
            result[key] = list(value)
    return result


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
