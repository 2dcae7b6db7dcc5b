"""The formats in which dashboards are written, all read as the classic model.

Classic JSON, what Grafana's API answers (`{"dashboard": ...}`), and resources of `dashboard.grafana.app`: v0 and v1
hold the classic model in their spec, v2 has a schema of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml_monitoring.dashboards.render import schema_v2, shapes
from ml_monitoring.dashboards.render.errors import RenderError
from ml_monitoring.dashboards.render.spelling import in_one_form

Json = dict[str, Any]

GROUP = "dashboard.grafana.app"
CLASSIC_VERSIONS = ("v0alpha1", "v1alpha1", "v1beta1", "v1")
V2_VERSIONS = ("v2alpha1", "v2beta1", "v2")
# What a repository of Git Sync has besides dashboards.
FOLDER_FILE = "_folder.json"


def is_dashboard(content: Any) -> bool:
    """Return whether the content of a file says that it is a dashboard, in a format that is known or not."""
    if not isinstance(content, dict):
        return False
    if "apiVersion" in content or "kind" in content:
        return content.get("kind") in ("Dashboard", "DashboardWithAccessInfo")
    inner = content.get("dashboard", content)
    return isinstance(inner, dict) and bool({"panels", "rows", "elements"} & inner.keys())


def classic(content: Any, source: str) -> Json:
    """Return the content of a file as a classic dashboard.

    Args:
        content: What the file's JSON says.
        source: The file, for messages.

    Raises:
        RenderError: If it is no dashboard, or in a format that is not known; the message names the format.
    """
    if not isinstance(content, dict):
        raise RenderError(f"{source}: is no dashboard: it has no list of panels")
    page = _page(content, source)
    if "panels" not in page:
        raise RenderError(f"{source}: is older than Grafana 5 (it has rows); open and save it in a newer Grafana first")
    return in_one_form(_shaped(page, shapes.CLASSIC, source))


def folder(content: Json) -> str:
    """Return the uid of the folder that a resource says it is in; empty where it says none."""
    annotations = (content.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get("grafana.app/folder") or "")


def what_it_is(content: Any) -> str:
    """Return what the content of a file is that holds no dashboard."""
    if not isinstance(content, dict):
        return shapes.in_words(content)
    if content.get("kind"):
        return f"a {content['kind']}"
    if "message" in content:
        return f"an error answer of Grafana: {content['message']}"
    return "an object without panels"


def _page(content: Json, source: str) -> Json:
    if "apiVersion" in content or isinstance(content.get("spec"), dict):
        return _resource(content, source)
    inner = content["dashboard"] if isinstance(content.get("dashboard"), dict) else content
    if "elements" in inner and "layout" in inner:
        # The spec of v2 alone, as Grafana's JSON model shows it.
        return _converted(inner, str(inner.get("uid") or ""), source)
    if not isinstance(inner.get("panels", inner.get("rows")), list):
        raise RenderError(f"{source}: is no dashboard: it has no list of panels")
    return inner


def _resource(content: Json, source: str) -> Json:
    group, _, version = str(content.get("apiVersion") or f"{GROUP}/").partition("/")
    kind, spec = str(content.get("kind") or "Dashboard"), content.get("spec")
    if group != GROUP or kind not in ("Dashboard", "DashboardWithAccessInfo"):
        raise RenderError(
            f"{source}: is no dashboard: it is a {kind} of {content.get('apiVersion') or 'no apiVersion'}"
        )
    known = ", ".join((*CLASSIC_VERSIONS, *V2_VERSIONS))
    if version and version not in (*CLASSIC_VERSIONS, *V2_VERSIONS):
        raise RenderError(f"{source}: the format {group}/{version} is not known; these are: {known}")
    if not isinstance(spec, dict):
        raise RenderError(f"{source}: is no dashboard: the resource has no spec")
    _shaped(content, shapes.RESOURCE, source)
    name = str((content.get("metadata") or {}).get("name") or spec.get("uid") or "")
    if version in V2_VERSIONS or (not version and "elements" in spec):
        return _converted(spec, name, source)
    if not isinstance(spec.get("panels", spec.get("rows")), list):
        raise RenderError(f"{source}: is no dashboard: its spec has no list of panels, as {version or 'v1'} has")
    return spec | ({"uid": name} if name else {})


def _shaped(value: Json, shape: Mapping[str, Any], source: str) -> Json:
    for problem in shapes.misshapen(value, shape):
        raise RenderError(f"{source}: {problem}")
    return value


def _converted(spec: Json, name: str, source: str) -> Json:
    _shaped(spec, shapes.V2, source)
    try:
        return schema_v2.classic(spec, name)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
        raise RenderError(f"{source}: cannot be read as a dashboard of schema v2: {what}") from error
