"""Push the alerts into Grafana's own alerting, for teams without Alertmanager.

Only what has a uid or name of ours is written. The policy tree is one for the whole organisation: in it one branch is
ours, recognised by the label that our rules have, and all others are sent back as they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from ml_monitoring.alerting.generate import grafana_notifications, grafana_rules
from ml_monitoring.alerting.generate.grafana_rules import OWN
from ml_monitoring.alerting.model.thresholds import Thresholds
from ml_monitoring.dashboards.publish.grafana import Grafana, GrafanaError, Json
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.regular_files import read_text

# Not the uid of a page: up to Grafana 10 folders and dashboards share theirs.
FOLDER_UID: Final = f"{OWN}-alert-rules"
_NEEDED = frozenset({"alert.provisioning:read", "alert.provisioning:write"})


class FromFiles:
    """Secrets for the API, which takes nothing but the secrets themselves: read where the push runs."""

    def secret(self, path: str) -> str:
        """Return the content of a file.

        Raises:
            ConfigError: If it cannot be read.
        """
        try:
            return read_text(Path(path)).strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = f"{path}: the secret of a channel cannot be read here: {error}"
            raise ConfigError([f"{problem}; name a file that can be, or null, in `notifications`"]) from error

    def literal(self, text: str) -> str:
        """Return the text."""
        return text


def push(
    grafana: Grafana,
    thresholds: Thresholds,
    *,
    datasource: str = "",
    folder: str,
    policies: bool = True,
    prune: bool = False,
) -> Iterator[str]:
    """Bring the alerts there and yield a line for each thing that was done.

    Args:
        grafana: Grafana.
        thresholds: Numbers, teams, channels and links.
        datasource: Name or uid of the Prometheus; by default the only one, or Grafana's default.
        folder: Title of the folder of the rules, where there is none yet.
        policies: Whether to write the branch of the policy tree.
        prune: Delete rules of earlier pushes that are no longer generated.

    Raises:
        GrafanaError: If Grafana refuses; what was yielded until then is done.
        ConfigError: If a secret cannot be read.
    """
    grafana.organisation()
    actions = grafana.actions()
    if actions is not None and not actions >= _NEEDED:
        raise GrafanaError(
            "the token may not write alerts: its service account needs the role Admin, or "
            f"{' and '.join(sorted(_NEEDED))}"
        )
    tree = grafana.provisioning("GET", "policies")
    said = grafana_notifications.build(thresholds, FromFiles(), default=tree["receiver"])
    groups = grafana_rules.build(thresholds, datasource=_prometheus(grafana, datasource))
    new_tree = _with_branch(tree, said.policy) if policies else None
    place = f"templates/{grafana_notifications.TEMPLATE}"
    grafana.provisioning("PUT", place, {"template": said.template})
    yield f"template   {grafana_notifications.TEMPLATE}"
    for name in _contact_points(grafana, said.contact_points):
        yield f"contact    {name}"
    existing = {entry["name"] for entry in grafana.provisioning("GET", "mute-timings") or []}
    for mute in said.mute_times:
        known = mute["name"] in existing
        path = f"mute-timings/{quote(mute['name'], safe='')}" if known else "mute-timings"
        grafana.provisioning("PUT" if known else "POST", path, mute)
        yield f"mute time  {mute['name']}"
    if new_tree is not None:
        # The tree is everybody's. What an API has taken over once, it cannot give back.
        grafana.provisioning("PUT", "policies", new_tree, editable=tree.get("provenance") != "api")
        yield f"policies   branch {grafana_rules.OWN_LABEL}={OWN}"
    if FOLDER_UID not in grafana.folders() and grafana.folder(FOLDER_UID) is None:
        grafana.create_folder(FOLDER_UID, folder)
    # All of them: Grafana 9.4 answers 500 when it is asked for one that it does not have.
    there = {rule["uid"]: rule for rule in grafana.provisioning("GET", "alert-rules") or []}
    for group in groups:
        yield from _group(grafana, group, there)
    wanted = {rule["uid"] for group in groups for rule in group["rules"]}
    for uid in sorted(uid for uid in there if uid.startswith(f"{OWN}-") and uid not in wanted):
        if prune:
            grafana.provisioning("DELETE", f"alert-rules/{uid}")
        yield f"{'delete' if prune else 'left over':<10} {there[uid]['title']}"


def _prometheus(grafana: Grafana, wanted: str) -> str:
    """Return the uid of the data source that the rules ask."""
    there = [source for source in grafana.datasources() if source.type == "prometheus"]
    fitting = [source for source in there if wanted in {source.uid, source.name}] if wanted else there
    best = [source for source in fitting if source.default] or fitting
    if len(best) == 1:
        return best[0].uid
    names = ", ".join(sorted(source.name for source in there)) or "none"
    raise GrafanaError(f"--datasource {wanted or '?'}: Grafana's data sources of type prometheus: {names}")


def _contact_points(grafana: Grafana, points: Sequence[Json]) -> Iterator[str]:
    existing = {entry.get("uid") for entry in grafana.provisioning("GET", "contact-points") or []}
    wanted = set()
    for point in points:
        for integration in point["receivers"]:
            uid = integration["uid"]
            wanted.add(uid)
            known = uid in existing
            path = f"contact-points/{uid}" if known else "contact-points"
            grafana.provisioning("PUT" if known else "POST", path, integration | {"name": point["name"]})
        yield point["name"]


def _with_branch(tree: Json, branch: Json) -> Json:
    if tree.get("provenance") == "file":
        raise GrafanaError(
            "Grafana reads the policy tree from a file: add the branch of `ml-monitoring alerts grafana` there, and "
            "push the rest with --no-policies"
        )
    routes = list(tree.get("routes") or [])
    ours = [place for place, route in enumerate(routes) if route.get("object_matchers") == branch["object_matchers"]]
    # Before all others: one of them might match everything. Where it was moved by hand, it stays.
    at = ours[0] if ours else 0
    others = [route for place, route in enumerate(routes) if place not in ours]
    return {key: value for key, value in tree.items() if key != "provenance"} | {
        "routes": [*others[:at], branch, *others[at:]]
    }


def _group(grafana: Grafana, group: Json, there: Mapping[str, Json]) -> Iterator[str]:
    for rule in group["rules"]:
        found = there.get(rule["uid"])
        body = {**rule, "folderUID": (found or {}).get("folderUID") or FOLDER_UID, "ruleGroup": group["name"]}
        if found is None:
            grafana.provisioning("POST", "alert-rules", body)
            yield f"create     {rule['title']}"
        elif _covers(body, found):
            yield f"unchanged  {rule['title']}"
        else:
            grafana.provisioning("PUT", f"alert-rules/{rule['uid']}", body)
            yield f"update     {rule['title']}"
    path = f"folder/{FOLDER_UID}/rule-groups/{quote(group['name'], safe='')}"
    found = grafana.provisioning("GET", path, may_be_missing=True)
    if found is not None and found["interval"] != grafana_rules.INTERVAL_SECONDS:
        grafana.provisioning("PUT", path, {**found, "interval": grafana_rules.INTERVAL_SECONDS})


def _covers(wanted: Any, found: Any) -> bool:
    """Tell whether what Grafana has is what is wanted, whatever it added."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_covers(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list | tuple):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_covers, wanted, found))
    return bool(wanted == found)
