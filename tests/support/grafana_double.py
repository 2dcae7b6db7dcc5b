"""NOT GRAFANA: a double of the parts of its HTTP API that `push` and `pull` call: no registry offers Grafana itself.

It is a real HTTP server on loopback that keeps dashboards, versions and folders as Grafana does. What its answers look
like is not invented: each is made from the example in Grafana's own documentation, which `DOCUMENTED` repeats with its
page (`docs/sources/developer-resources/api-reference/http-api/api-legacy/` of Grafana 13, and `docs/sources/developers/
http_api/` before). Four things are not in these pages and come from Grafana's source code instead; `FROM_SOURCE` names
them. Where the versions of Grafana differ, the double is set to one (`paged_versions`).
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
    "dashboard not found": {"message": "Dashboard not found"},
    "provisioned": {"message": "Cannot save provisioned dashboard"},
    # pkg/services/folder: errors of the folder service
    "folder not found": {"message": "folder not found", "status": "not-found"},
    # pkg/services/authn
    "unauthorized": {"message": "Invalid API key"},
}
FORBIDDEN = {"message": "You'll need additional permissions to perform this action.", "title": "Access denied"}


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
        paged_versions: Whether version histories look as from Grafana 11 on.
        role: What the token's service account is: a Viewer may change nothing.
        forbidden: Pattern of `METHOD path` that the token may not do.
        before_save: Called before a save is looked at: the moment in which somebody else may save.
    """

    def __init__(self, *, paged_versions: bool = True) -> None:
        self.dashboards: dict[str, Stored] = {}
        self.folders: dict[str, str] = {}
        self.datasources: list[Json] = []
        self.requests: list[str] = []
        self.paged_versions = paged_versions
        self.role = "Editor"
        self.forbidden = ""
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

            def do_DELETE(self) -> None:
                self._answer()

            def log_message(self, format: str, *args: object) -> None:
                """Stay quiet."""

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                token = self.headers.get("Authorization", "")
                status, answer = double._dispatch(self.command, self.path, token, json.loads(body) if body else {})
                content = json.dumps(answer).encode()
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
        if self.role == "Viewer" and method != "GET":
            return 403, FORBIDDEN
        if self.forbidden and re.fullmatch(self.forbidden, f"{method} {path}"):
            return 403, FORBIDDEN
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        routes: list[tuple[str, Callable[..., tuple[int, Any]]]] = [
            (r"POST /api/dashboards/db", lambda: self._post_dashboard(body)),
            (r"GET /api/dashboards/uid/([^/]+)", self._get_dashboard),
            (r"DELETE /api/dashboards/uid/([^/]+)", self._delete_dashboard),
            (r"GET /api/dashboards/uid/([^/]+)/versions", self._get_versions),
            (r"GET /api/dashboards/uid/([^/]+)/versions/(\d+)", self._get_version),
            (r"GET /api/folders", self._get_folders),
            (r"POST /api/folders", lambda: self._post_folder(body)),
            (r"GET /api/folders/([^/]+)", self._get_folder),
            (r"GET /api/search", lambda: self._search(query)),
            (r"GET /api/datasources", lambda: (200, self.datasources)),
        ]
        for pattern, route in routes:
            match = re.fullmatch(pattern, f"{method} {path}")
            if match:
                return route(*(unquote(group) for group in match.groups()))
        return 404, {"message": "Not found"}

    def _post_dashboard(self, body: Json) -> tuple[int, Any]:
        self.before_save()
        dashboard = body["dashboard"]
        stored = self.dashboards.get(dashboard["uid"])
        if stored and stored.provisioned:
            return 400, FROM_SOURCE["provisioned"]
        if stored and not body["overwrite"] and dashboard.get("version", 0) != stored.version:
            return 412, DOCUMENTED["POST /api/dashboards/db 412"]
        if body["folderUid"] not in {"", *self.folders}:
            return 400, FROM_SOURCE["folder not found"]
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
            # Rights are granted for what there is; seen in Grafana 9.4 without any dashboard.
            return (404, FROM_SOURCE["dashboard not found"]) if self.dashboards else (403, FORBIDDEN)
        meta = DOCUMENTED["GET /api/dashboards/uid/:uid 200"]["meta"] | {
            "url": f"/d/{uid}/{_slug(stored.current['title'])}",
            "folderUid": stored.folder,
            "slug": _slug(stored.current["title"]),
        }
        if stored.provisioned:
            meta |= {"provisioned": True, "provisionedExternalId": stored.provisioned}
        return 200, {"dashboard": stored.current | {"id": stored.number, "version": stored.version}, "meta": meta}

    def _delete_dashboard(self, uid: str) -> tuple[int, Any]:
        stored = self.dashboards.pop(uid, None)
        if stored is None:
            return 404, FROM_SOURCE["dashboard not found"]
        title = stored.current["title"]
        return 200, {"title": title, "message": f"Dashboard {title} deleted", "id": stored.number}

    def _get_versions(self, uid: str) -> tuple[int, Any]:
        stored = self.dashboards.get(uid)
        if stored is None:
            return 404, FROM_SOURCE["dashboard not found"]
        (example,) = DOCUMENTED["GET /api/dashboards/uid/:uid/versions 200"]["versions"]
        versions = [example | self._entry(uid, stored, number) for number in range(stored.version, 0, -1)]
        # Whatever it was saved with; seen in Grafana 9.4, and in the sources of newer ones.
        versions[-1]["message"] = "Initial save"
        return 200, {"continueToken": "", "versions": versions} if self.paged_versions else versions

    def _get_version(self, uid: str, version: str) -> tuple[int, Any]:
        stored = self.dashboards.get(uid)
        if stored is None or not 1 <= int(version) <= stored.version:
            return 404, {"message": "Dashboard version not found"}
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

    def _get_folders(self) -> tuple[int, Any]:
        return 200, [
            {"id": number, "uid": uid, "title": title} for number, (uid, title) in enumerate(self.folders.items(), 1)
        ]

    def _get_folder(self, uid: str) -> tuple[int, Any]:
        if uid not in self.folders:
            # An Editor's rights are granted folder by folder; seen in Grafana 9.4.
            return 403, FORBIDDEN
        title = self.folders[uid]
        url = f"/dashboards/f/{uid}/{_slug(title)}"
        return 200, DOCUMENTED["GET /api/folders/:uid 200"] | {"uid": uid, "title": title, "url": url}

    def _post_folder(self, body: Json) -> tuple[int, Any]:
        if body["uid"] in self.folders:
            return 409, {"message": "a folder with that uid already exists"}
        self.folders[body["uid"]] = body["title"]
        return self._get_folder(body["uid"])

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
        limit, page = int(query["limit"]), int(query["page"])
        return 200, found[(page - 1) * limit : page * limit]


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
