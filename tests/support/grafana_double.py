"""NOT GRAFANA: a double of the parts of its HTTP API that `push` and `pull` call: no registry offers Grafana itself.

It is a real HTTP server on loopback that keeps dashboards, versions and folders as Grafana does. What its answers look
like is not invented: each is made from the example in Grafana's own documentation, which `DOCUMENTED` repeats with its
page (`docs/sources/developer-resources/api-reference/http-api/api-legacy/` of Grafana 13, and `docs/sources/developers/
http_api/` before). What is not in these pages comes from Grafana's source code instead: `FROM_SOURCE` and the comments
beside the answers name the file. Those of 9.4 were compared with the answers of a real one. Where the versions of
Grafana differ, the double is set to one (`old`: 9.4 to 10, else 11 to 13).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]

TOKEN = "glsa_double"

DOCUMENTED: dict[str, Any] = {
    # dashboard.md, "Create / Update dashboard"
    "POST /api/dashboards/db 200": {
        "id": 1,
        "uid": "e883f11b-77c0-4ee3-9a70-3ba223d66e56",
        "url": "/d/e883f11b-77c0-4ee3-9a70-3ba223d66e56/production-overview-updated",
        "status": "success",
        "version": 2,
        "slug": "production-overview-updated",
    },
    "POST /api/dashboards/db 412": {
        "message": "The dashboard has been changed by someone else",
        "status": "version-mismatch",
    },
    # dashboard.md, "Get dashboard by uid"
    "GET /api/dashboards/uid/:uid 200": {
        "dashboard": {
            "id": 1,
            "uid": "cIBgcSjkk",
            "title": "Production Overview",
            "tags": ["templated"],
            "timezone": "browser",
            "schemaVersion": 16,
            "version": 0,
        },
        "meta": {
            "isStarred": False,
            "url": "/d/cIBgcSjkk/production-overview",
            "folderId": 2,
            "folderUid": "l3KqBxCMz",
            "slug": "production-overview",
        },
    },
    # org.md, "Get current Organization"
    "GET /api/org 200": {"id": 1, "name": "Main Org."},
    # dashboard.md, "Delete dashboard by uid"
    "DELETE /api/dashboards/uid/:uid 200": {
        "title": "Production Overview",
        "message": "Dashboard Production Overview deleted",
        "id": 2,
    },
    # dashboard_versions.md, "Get all dashboard versions by dashboard UID" of Grafana 13; the list alone up to 10
    "GET /api/dashboards/uid/:uid/versions 200": {
        "continueToken": "",
        "versions": [
            {
                "id": 2,
                "dashboardId": 1,
                "uid": "QA7wKklGz",
                "parentVersion": 1,
                "restoredFrom": 0,
                "version": 2,
                "created": "2017-06-08T17:24:33-04:00",
                "createdBy": "admin",
                "message": "Updated panel title",
            }
        ],
    },
    # dashboard_versions.md, "Get dashboard version by dashboard UID"
    "GET /api/dashboards/uid/:uid/versions/:version 200": {
        "id": 1,
        "dashboardId": 1,
        "uid": "QA7wKklGz",
        "parentVersion": 0,
        "restoredFrom": 0,
        "version": 1,
        "created": "2017-04-26T17:18:38-04:00",
        "message": "Initial save",
        "data": {},
        "createdBy": "admin",
    },
    # folder.md, "Get all folders"
    "GET /api/folders 200": [{"id": 1, "uid": "nErXDvCkzz", "title": "Department ABC"}],
    # folder.md, "Get folder by uid" and "Create folder"
    "GET /api/folders/:uid 200": {
        "id": 1,
        "uid": "nErXDvCkzz",
        "title": "Department ABC",
        "url": "/dashboards/f/nErXDvCkzz/department-abc",
        "hasAcl": False,
        "canSave": True,
        "canEdit": True,
        "canAdmin": True,
        "createdBy": "admin",
        "created": "2018-01-31T17:43:12+01:00",
        "updatedBy": "admin",
        "updated": "2018-01-31T17:43:12+01:00",
        "version": 1,
    },
    # folder_dashboard_search.md, "Search folders and dashboards"
    "GET /api/search 200": [
        {
            "id": 1,
            "uid": "cIBgcSjkk",
            "orgId": 1,
            "title": "Production Overview",
            "url": "/d/cIBgcSjkk/production-overview",
            "type": "dash-db",
            "tags": ["prod"],
            "isStarred": True,
            "folderId": 2,
            "folderUid": "000000163",
            "folderTitle": "Folder",
            "folderUrl": "/dashboards/f/000000163/folder",
            "uri": "db/production-overview",
        }
    ],
    # data_source.md, "Get all data sources"
    "GET /api/datasources 200": [
        {
            "id": 1,
            "orgId": 1,
            "uid": "H8joYFVGz",
            "name": "datasource_elastic",
            "type": "elasticsearch",
            "typeLogoUrl": "public/app/plugins/datasource/elasticsearch/img/elasticsearch.svg",
            "access": "proxy",
            "url": "http://mydatasource.com",
            "password": "",
            "user": "",
            "database": "grafana-dash",
            "basicAuth": False,
            "isDefault": False,
            "jsonData": {},
            "readOnly": False,
        }
    ],
}

FROM_SOURCE: dict[str, Json] = {
    # pkg/services/dashboards/errors.go
    "dashboard not found": {"message": "Dashboard not found", "status": "not-found"},
    "provisioned": {"message": "Cannot save provisioned dashboard"},
    "provisioned, delete": {"message": "provisioned dashboard cannot be deleted"},
    "name exists": {
        "message": "A dashboard with the same name in the folder already exists",
        "status": "name-exists",
    },
    "folder exists": {"message": "a folder or dashboard in the general folder with the same name already exists"},
    # pkg/api/apierrors/folder.go, ToFolderErrorResponse
    "folder not found": {"message": "folder not found", "status": "not-found"},
    # pkg/api/dashboard.go, postDashboard
    "save, folder not found": {"message": "Folder not found"},
    "quota": {"message": "Quota reached"},
    # pkg/services/contexthandler/contexthandler.go
    "unauthorized": {"message": "Invalid API key"},
}
# pkg/api/accesscontrol.go and pkg/services/accesscontrol: what basic roles may do with at least one thing, as far as
# it is asked for here. Reading and writing one dashboard or folder is granted one by one, for what there is.
ACTIONS: dict[str, frozenset[str]] = {
    "Viewer": frozenset({"datasources:read", "orgs:read"}),
    "Editor": frozenset({"datasources:read", "orgs:read", "dashboards:create", "folders:create"}),
    "Admin": frozenset(
        {
            *{
                "datasources:read",
                "orgs:read",
                "dashboards:create",
                "folders:create",
                "dashboards:read",
                "folders:read",
            },
            *{"dashboards:write", "alert.provisioning:read", "alert.provisioning:write"},
        }
    ),
}


def forbidden(action: str) -> tuple[int, Json]:
    """Return the refusal of pkg/services/accesscontrol/middleware.go, `deny`."""
    needed = f"Permissions needed: {action}"
    message = f"You'll need additional permissions to perform this action. {needed}"
    return 403, {"accessErrorId": "ACE0000000000", "message": message, "title": "Access denied"}


@dataclass(slots=True)
class Stored:
    """A dashboard with all its saves; a save is (JSON, who, message)."""

    number: int
    folder: str
    saves: list[tuple[Json, str, str]] = field(default_factory=list)
    provisioned: str = ""

    @property
    def version(self) -> int:
        return len(self.saves)

    @property
    def current(self) -> Json:
        return self.saves[-1][0]


class GrafanaDouble:
    """The double: a context manager that listens on a free port of 127.0.0.1.

    Attributes:
        dashboards: What is stored, by uid.
        folders: Titles by uid.
        datasources: As the API lists them.
        requests: Method and path of each request that came, in order.
        old: Whether it answers as Grafana 9.4 to 10 do, and not as 11 to 13.
        role: What the token's service account is: Viewer, Editor or Admin.
        org: Number of the token's organisation.
        plugin: Uid of a dashboard that belongs to a plugin.
        quota: How many dashboards there may be.
        without_rbac: Whether it does not say what a token may do.
        licensed: Whether only administrators read data sources, as with a licence.
        unseen: Folders, by uid, that the token may not see.
        forbidden: Pattern of `METHOD path` that the token may not do.
        rules: Rules of Grafana's alerting, by uid.
        intervals: Seconds between evaluations, by (folder, group).
        contact_points: Integrations by uid.
        mute_timings: By name.
        templates: By name.
        policies: The tree.
        editable: Whether the last request asked that people can go on editing what it wrote.
        before_save: Called before a save is looked at: the moment in which somebody else may save.
    """

    def __init__(self, *, old: bool = False) -> None:
        self.dashboards: dict[str, Stored] = {}
        self.folders: dict[str, str] = {}
        self.datasources: list[Json] = []
        self.requests: list[str] = []
        self.old = old
        self.role = "Editor"
        self.org = 1
        self.plugin = ""
        self.quota = 1000
        self.without_rbac = False
        self.licensed = False
        self.unseen: set[str] = set()
        self.forbidden = ""
        self.editable = False
        self.rules: dict[str, Json] = {}
        self.intervals: dict[tuple[str, str], int] = {}
        self.contact_points: dict[str, Json] = {}
        self.mute_timings: dict[str, Json] = {}
        self.templates: dict[str, Json] = {}
        self.policies: Json = {"receiver": "grafana-default-email", "group_by": ["grafana_folder", "alertname"]}
        self.before_save: Callable[[], None] = lambda: None
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one packet: two would wait for an acknowledgement in between.
            wbufsize = -1

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def do_PUT(self) -> None:
                self._answer()

            def do_DELETE(self) -> None:
                self._answer()

            def log_message(self, format: str, *args: object) -> None:
                """Stay quiet."""

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                token = self.headers.get("Authorization", "")
                double.editable = "X-Disable-Provenance" in self.headers
                status, answer = double._dispatch(self.command, self.path, token, json.loads(body) if body else {})
                content = b"" if status == 204 else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=UTF-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Its address: Grafana below a path, as behind a shared proxy."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/grafana"

    @property
    def writes(self) -> list[str]:
        """The requests that change something."""
        return [request for request in self.requests if not request.startswith("GET ")]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add_datasource(self, uid: str, name: str, kind: str, *, default: bool = False) -> None:
        """Add a data source as an administrator would."""
        (example,) = DOCUMENTED["GET /api/datasources 200"]
        self.datasources.append(example | {"uid": uid, "name": name, "type": kind, "isDefault": default})

    def save(self, dashboard: Json, *, by: str, message: str = "", folder: str = "") -> None:
        """Save as a person with a browser does."""
        stored = self.dashboards.setdefault(dashboard["uid"], Stored(len(self.dashboards) + 1, folder))
        stored.saves.append((deepcopy(dashboard), by, message))

    def edit(self, uid: str, change: Callable[[Json], None], *, by: str = "jane", message: str = "") -> None:
        """Change a dashboard as a person with a browser does."""
        dashboard = deepcopy(self.dashboards[uid].current)
        change(dashboard)
        self.save(dashboard, by=by, message=message)

    def _dispatch(self, method: str, target: str, authorization: str, body: Json) -> tuple[int, Any]:
        parts = urlsplit(target)
        path = parts.path.removeprefix("/grafana")
        self.requests.append(f"{method} {path}")
        if authorization != f"Bearer {TOKEN}":
            return 401, FROM_SOURCE["unauthorized"]
        if self.forbidden and re.fullmatch(self.forbidden, f"{method} {path}"):
            return forbidden("another")
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        routes: list[tuple[str, Callable[..., tuple[int, Any]]]] = [
            (r"POST /api/dashboards/db", lambda: self._post_dashboard(body)),
            (r"GET /api/dashboards/uid/([^/]+)", self._get_dashboard),
            (r"DELETE /api/dashboards/uid/([^/]+)", self._delete_dashboard),
            (r"GET /api/dashboards/uid/([^/]+)/versions", self._get_versions),
            (r"GET /api/dashboards/uid/([^/]+)/versions/(\d+)", self._get_version),
            (r"GET /api/folders", lambda: self._get_folders(query)),
            (r"POST /api/folders", lambda: self._post_folder(body)),
            (r"GET /api/folders/([^/]+)", self._get_folder),
            (r"GET /api/search", lambda: self._search(query)),
            (r"GET /api/datasources", self._get_datasources),
            (r"GET /api/frontend/settings", self._get_settings),
            (r"GET /api/org", lambda: (200, DOCUMENTED["GET /api/org 200"] | {"id": self.org})),
            (r"GET /api/access-control/user/actions", self._get_actions),
        ]
        routes += self._provisioning_routes(body)
        for pattern, route in routes:
            match = re.fullmatch(pattern, f"{method} {path}")
            if match:
                return route(*(unquote(group or "") for group in match.groups()))
        return 404, {"message": "Not found"}

    @property
    def _may_save(self) -> bool:
        return self.role != "Viewer"

    def _get_actions(self) -> tuple[int, Any]:
        # pkg/services/accesscontrol/api/api.go, getUserActions; without access control there is no such address.
        if self.without_rbac:
            return 404, {"message": "Not found"}
        return 200, dict.fromkeys(sorted(ACTIONS[self.role]), True)

    def _post_dashboard(self, body: Json) -> tuple[int, Any]:
        # pkg/api/dashboard.go, postDashboard, and pkg/services/dashboards/database/database.go.
        if not self._may_save:
            return forbidden("any of dashboards:create, dashboards:write")
        self.before_save()
        dashboard = body["dashboard"]
        stored = self.dashboards.get(dashboard["uid"])
        if body["folderUid"] not in {"", *self.folders}:
            return 400, FROM_SOURCE["save, folder not found"]
        if stored is None and len(self.dashboards) >= self.quota:
            return 403, FROM_SOURCE["quota"]
        if stored and stored.provisioned:
            return 400, FROM_SOURCE["provisioned"]
        if stored and not body["overwrite"] and dashboard.get("version", 0) != stored.version:
            return 412, DOCUMENTED["POST /api/dashboards/db 412"]
        if dashboard["uid"] == self.plugin and not body["overwrite"]:
            # pkg/api/apierrors/dashboard.go
            return 412, {"message": "The dashboard belongs to plugin Example.", "status": "plugin-dashboard"}
        same = [
            other
            for uid, other in self.dashboards.items()
            if uid != dashboard["uid"] and other.folder == body["folderUid"]
            if other.current["title"] == dashboard["title"]
        ]
        # From Grafana 11 on, titles may be there twice.
        if self.old and same and not body["overwrite"]:
            return 412, FROM_SOURCE["name exists"]
        assert not (self.old and same), "Grafana would replace somebody else's dashboard"
        self.save(dashboard, by="sa-push", message=body["message"], folder=body["folderUid"])
        stored = self.dashboards[dashboard["uid"]]
        stored.folder = body["folderUid"]
        slug = _slug(dashboard["title"])
        return 200, DOCUMENTED["POST /api/dashboards/db 200"] | {
            "id": stored.number,
            "uid": dashboard["uid"],
            "url": f"/d/{dashboard['uid']}/{slug}",
            "version": stored.version,
            "slug": slug,
        }

    def _get_dashboard(self, uid: str) -> tuple[int, Any]:
        stored = self.dashboards.get(uid)
        if stored is None:
            # pkg/api/api.go asks whether the token may read any dashboard: rights are granted for what there is.
            known = self.dashboards or "dashboards:read" in ACTIONS[self.role]
            return (404, FROM_SOURCE["dashboard not found"]) if known else forbidden("dashboards:read")
        meta = DOCUMENTED["GET /api/dashboards/uid/:uid 200"]["meta"] | {
            "url": f"/d/{uid}/{_slug(stored.current['title'])}",
            "folderUid": stored.folder,
            "slug": _slug(stored.current["title"]),
            # pkg/api/dtos/dashboard.go
            "canSave": self._may_save,
        }
        if stored.provisioned:
            meta |= {"provisioned": True, "provisionedExternalId": stored.provisioned}
        return 200, {"dashboard": stored.current | {"id": stored.number, "version": stored.version}, "meta": meta}

    def _delete_dashboard(self, uid: str) -> tuple[int, Any]:
        if not self._may_save:
            return forbidden("dashboards:delete")
        stored = self.dashboards.get(uid)
        if stored is None:
            return 404, FROM_SOURCE["dashboard not found"]
        if stored.provisioned:
            return 400, FROM_SOURCE["provisioned, delete"]
        del self.dashboards[uid]
        title = stored.current["title"]
        return 200, {"title": title, "message": f"Dashboard {title} deleted", "id": stored.number}

    def _get_versions(self, uid: str) -> tuple[int, Any]:
        if not self._may_save:
            return forbidden("dashboards:write")
        stored = self.dashboards.get(uid)
        if stored is None:
            return 404, FROM_SOURCE["dashboard not found"]
        (example,) = DOCUMENTED["GET /api/dashboards/uid/:uid/versions 200"]["versions"]
        versions = [example | self._entry(uid, stored, number) for number in range(stored.version, 0, -1)]
        # pkg/api/dashboard.go, GetDashboardVersions: whatever it was saved with.
        versions[-1]["message"] = "Initial save"
        if not self.old:
            return 200, {"continueToken": "", "versions": versions}
        # pkg/services/dashboardversion/model.go: the list has the number of a user, one version the name.
        return 200, [version | {"createdBy": 2} for version in versions]

    def _get_version(self, uid: str, version: str) -> tuple[int, Any]:
        if not self._may_save:
            return forbidden("dashboards:write")
        stored = self.dashboards.get(uid)
        if stored is None or not 1 <= int(version) <= stored.version:
            # pkg/api/dashboard.go, GetDashboardVersion
            message = f"Dashboard version {version} not found for dashboardId 1"
            return (500, {"message": message}) if self.old else (404, {"message": "Dashboard version not found"})
        example = DOCUMENTED["GET /api/dashboards/uid/:uid/versions/:version 200"]
        number = int(version)
        return 200, example | self._entry(uid, stored, number) | {"data": stored.saves[number - 1][0]}

    @staticmethod
    def _entry(uid: str, stored: Stored, number: int) -> Json:
        _, by, message = stored.saves[number - 1]
        return {
            "id": 100 + number,
            "dashboardId": stored.number,
            "uid": uid,
            "parentVersion": number - 1,
            "version": number,
            "createdBy": by,
            "message": message,
        }

    def _get_folders(self, query: dict[str, str]) -> tuple[int, Any]:
        # pkg/api/folder.go, GetFolders: those that the token may see, a page of them.
        seen = [
            {"id": number, "uid": uid, "title": title}
            for number, (uid, title) in enumerate(self.folders.items(), 1)
            if uid not in self.unseen
        ]
        return 200, _page(seen, query)

    def _get_folder(self, uid: str) -> tuple[int, Any]:
        if uid in self.unseen or (uid not in self.folders and self.role != "Admin"):
            # pkg/api/api.go asks for the right to this folder: for one that does not exist nobody was granted any.
            return forbidden("folders:read")
        if uid not in self.folders:
            return 404, FROM_SOURCE["folder not found"]
        title = self.folders[uid]
        url = f"/dashboards/f/{uid}/{_slug(title)}"
        return 200, DOCUMENTED["GET /api/folders/:uid 200"] | {"uid": uid, "title": title, "url": url}

    def _post_folder(self, body: Json) -> tuple[int, Any]:
        if not self._may_save:
            return forbidden("folders:create")
        if body["uid"] in self.folders or (self.old and body["title"] in self.folders.values()):
            return 409, FROM_SOURCE["folder exists"]
        self.folders[body["uid"]] = body["title"]
        return self._get_folder(body["uid"])

    def _get_datasources(self) -> tuple[int, Any]:
        # pkg/api/accesscontrol.go: with a licence that grants rights by data source, administrators only.
        if self.licensed and self.role != "Admin":
            return forbidden("datasources:read")
        return 200, self.datasources

    def _get_settings(self) -> tuple[int, Any]:
        # pkg/api/frontendsettings.go, getFrontendSettingsMap: by name.
        return 200, {"datasources": {source["name"]: source for source in self.datasources}}

    def _provisioning_routes(self, body: Any) -> list[tuple[str, Callable[..., tuple[int, Any]]]]:
        """Return the API of Grafana's alerting: pkg/services/ngalert/api/api_provisioning.go."""
        below = "/api/v1/provisioning"
        return [
            (
                rf"(GET|PUT|POST|DELETE) {below}/([\w-]+)(?:/([^/]+))?",
                lambda method, kind, name: self._provisioning(method, kind, name, body),
            ),
            (
                rf"(GET|PUT) {below}/folder/([^/]+)/rule-groups/([^/]+)",
                lambda method, folder, group: self._rule_group(method, folder, group, body),
            ),
        ]

    def _provisioning(self, method: str, kind: str, name: str, body: Any) -> tuple[int, Any]:
        if self.role != "Admin":
            # pkg/services/ngalert/api/authorization.go
            return forbidden(f"alert.provisioning:{'read' if method == 'GET' else 'write'}")
        if kind == "policies":
            return self._put_policies(body) if method == "PUT" else (200, self.policies)
        stores = {
            "alert-rules": (self.rules, "uid"),
            "contact-points": (self.contact_points, "uid"),
            "mute-timings": (self.mute_timings, "name"),
            "templates": (self.templates, "name"),
        }
        store, key = stores[kind]
        if method == "GET" and not name:
            # Where there is none: null or an empty list, by version.
            return 200, list(store.values()) or (None if self.old else [])
        if method == "DELETE":
            del store[name]
            return 204, None
        if method == "PUT" and kind == "templates":
            store[name] = {"name": name, **body}
            return 202, store[name]
        if method == "POST":
            name = body[key]
            if name in store:
                return 500, {"message": f"{name} already exists"}
        elif name not in store:
            # Grafana 9.4 has no better answer: RouteRouteGetAlertRule.
            return (500 if self.old else 404), {"message": "could not find alert rule"}
        provenance = "" if self.editable else "api"
        if kind == "alert-rules" and store.get(name, {}).get("provenance") not in {None, "", provenance}:
            # pkg/services/ngalert/provisioning/alert_rules.go, UpdateAlertRule
            return 500, {"message": f"cannot changed provenance from '{store[name]['provenance']}' to '{provenance}'"}
        store[name] = body | ({"provenance": provenance} if kind == "alert-rules" else {})
        if kind == "alert-rules":
            if body["folderUID"] not in self.folders:
                return 400, {"message": "folder does not exist"}
            self.intervals.setdefault((body["folderUID"], body["ruleGroup"]), 60)
        return {"alert-rules": 201, "contact-points": 202, "mute-timings": 201}[kind], body

    def _put_policies(self, tree: Json) -> tuple[int, Any]:
        names = {point["name"] for point in self.contact_points.values()} | {"grafana-default-email"}
        for policy in _policies(tree):
            # definitions/alertmanager_validation.go, ValidateReceivers and ValidateMuteTimes
            receiver = policy.get("receiver", "")
            if receiver not in names:
                return 400, {"message": f"invalid object specification: receiver '{receiver}' does not exist"}
            for mute in policy.get("mute_time_intervals", []):
                if mute not in self.mute_timings:
                    return 400, {"message": f"invalid object specification: mute time interval '{mute}' does not exist"}
        # RoutePutPolicyTree of 9.4 takes no notice of the header.
        self.policies = tree | ({} if self.editable and not self.old else {"provenance": "api"})
        return 202, {"message": "policies updated"}

    def _rule_group(self, method: str, folder: str, group: str, body: Json) -> tuple[int, Any]:
        rules = [rule for rule in self.rules.values() if (rule["folderUID"], rule["ruleGroup"]) == (folder, group)]
        if not rules:
            return 404, {"message": "rule group not found"}
        if method == "PUT":
            if body["interval"] % 10:
                return 400, {"message": "interval should be non-zero and divided exactly by scheduler interval"}
            self.intervals[folder, group] = body["interval"]
            # RoutePutAlertRuleGroup of 9.4 takes no notice of the header.
            for rule in rules:
                rule["provenance"] = "api"
        interval = self.intervals[folder, group]
        return 200, {"title": group, "folderUid": folder, "interval": interval, "rules": rules}

    def _search(self, query: dict[str, str]) -> tuple[int, Any]:
        (example,) = DOCUMENTED["GET /api/search 200"]
        found = [
            example
            | {"id": stored.number, "uid": uid, "title": stored.current["title"], "tags": stored.current["tags"]}
            | {"folderUid": stored.folder, "folderTitle": self.folders.get(stored.folder, "")}
            for uid, stored in sorted(self.dashboards.items())
            if query.get("tag") in (None, *stored.current["tags"]) and query["type"] == "dash-db"
        ]
        for entry in found:
            if not entry["folderUid"]:
                # At the top level an entry has nothing about a folder.
                for key in ("folderId", "folderUid", "folderTitle", "folderUrl"):
                    del entry[key]
        return 200, _page(found, query)


def _policies(tree: Json) -> list[Json]:
    return [tree, *(policy for child in tree.get("routes") or [] for policy in _policies(child))]


def _page(entries: list[Json], query: dict[str, str]) -> list[Json]:
    limit, page = int(query.get("limit", 1000)), int(query.get("page", 1))
    return entries[(page - 1) * limit : page * limit]


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
