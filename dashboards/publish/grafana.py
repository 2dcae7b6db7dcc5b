"""Grafana's HTTP API, as far as pushing and pulling dashboards needs it.

These are the endpoints of Grafana 9.4 to 13 below `/api`. Grafana 13 calls them legacy and keeps them; what replaces
them (`/apis`) exists only from 12 on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote, urlsplit

import requests
from requests.auth import AuthBase

from ml_monitoring.dashboards.render.prometheus import over_proxy
from ml_monitoring.exporter.errors import MonitorError
from ml_monitoring.exporter.http_addresses import problem_of
from ml_monitoring.exporter.http_failures import describe_failure, is_page, page_title
from ml_monitoring.exporter.proxies import asked_directly

Json = dict[str, Any]
_Args = ParamSpec("_Args")
_Answer = TypeVar("_Answer")
# Grafana's own limit of one page, for everything that it lists.
_PAGE = 1000
# What is not there: an Editor's rights are granted folder by folder, so for one that does not exist there are none.
_MISSING = frozenset({403, 404})
# What a proxy before Grafana answers by itself, too.
_OF_PROXIES = frozenset({413, 429, 500, 502, 503, 504})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class GrafanaError(MonitorError):
    """Report that Grafana could not be asked, or refused; the message says what to do about it.

    Attributes:
        status: Of the answer; 0 when there was none, or it was none of Grafana's.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class ChangedMeanwhileError(GrafanaError):
    """Report that somebody saved the dashboard between our look at it and our save."""


class NotTakenError(GrafanaError):
    """Report that Grafana does not take this dashboard, and that others have no part in it."""


@dataclass(frozen=True, slots=True)
class Organisation:
    """What the token reads and writes: one Grafana may hold several."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Live:
    """A dashboard as Grafana has it.

    Attributes:
        dashboard: Its JSON.
        folder: Uid of its folder; empty at the top level.
        provisioned: The file that Grafana reads it from; empty for one that can be saved.
        version: Number of the last save.
        may_save: Whether the token may save it.
    """

    dashboard: Json
    folder: str
    provisioned: str
    version: int
    may_save: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A dashboard that a search found."""

    uid: str
    title: str
    folder: str
    folder_title: str


@dataclass(frozen=True, slots=True)
class Save:
    """One entry of a dashboard's version history."""

    version: int
    message: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Datasource:
    """A data source of Grafana."""

    uid: str
    name: str
    type: str
    default: bool


class _Bearer(AuthBase):
    """The token as `Authorization`; as an auth object, because a header would give way to an entry of `~/.netrc`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _read(method: Callable[_Args, _Answer]) -> Callable[_Args, _Answer]:
    """Take JSON that is not as Grafana's for another program's."""

    @functools.wraps(method)
    def read(*args: _Args.args, **kwargs: _Args.kwargs) -> _Answer:
        try:
            return method(*args, **kwargs)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            where = next((each.url for each in args if isinstance(each, Grafana)), "it")
            raise GrafanaError(f"the answer is JSON, but none of Grafana's; is {where} Grafana's address?") from error

    return read


class Grafana:
    """One Grafana, and the organisation that the token belongs to."""

    def __init__(
        self, url: str, token: str, *, ca_file: Path | None = None, org: int | None = None, timeout: float = 30.0
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            url: Address of Grafana, with its path where it is served below one.
            token: Token of a service account.
            ca_file: Certificates that Grafana's is checked against; default those of the system.
            org: Number of the organisation that is meant; by default the token's own.
            timeout: Seconds until an answer must begin.

        Raises:
            GrafanaError: If the address is none.
        """
        if problem := problem_of(url):
            raise GrafanaError(f"the address of Grafana {problem}")
        parts = urlsplit(url)
        if parts.username or parts.password:
            raise GrafanaError("the address of Grafana holds a user or password; give a token of a service account")
        self.url = url.rstrip("/")
        self.encrypted = parts.scheme == "https" or parts.hostname in _LOOPBACK
        self._verify = str(ca_file) if ca_file else True
        self._timeout = timeout
        # As if NO_PROXY named it; what else the environment says (certificates) stays in force.
        self._proxies = {"no_proxy": str(parts.hostname)} if asked_directly(url) else {}
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        self.org = org
        if org is not None:
            self._session.headers["X-Grafana-Org-Id"] = str(org)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @_read
    def organisation(self) -> Organisation | None:
        """Return what the token reads and writes; None where it may not know.

        Raises:
            GrafanaError: If that is not the organisation that is meant.
        """
        answer = self._ask("GET", "/api/org", may_be_missing=True)
        if answer is None:
            return None
        found = Organisation(int(answer["id"]), str(answer["name"]))
        if self.org is not None and self.org != found.number:
            raise GrafanaError(f"organisation {self.org}: the token belongs to {found.number} ({found.name})")
        return found

    @_read
    def actions(self) -> frozenset[str] | None:
        """Return what the token may do with at least one thing; None where Grafana does not say."""
        answer = self._ask("GET", "/api/access-control/user/actions", may_be_missing=True)
        return frozenset(answer) if isinstance(answer, dict) else None

    def dashboard(self, uid: str) -> Live | None:
        """Return a dashboard, or None where there is none with this uid that the token may see."""
        try:
            return self.existing_dashboard(uid)
        except GrafanaError as error:
            if error.status in _MISSING:
                return None
            raise

    @_read
    def existing_dashboard(self, uid: str) -> Live:
        """Return a dashboard.

        Raises:
            GrafanaError: If there is none with this uid, or the token may not see it.
        """
        answer = self._ask("GET", f"/api/dashboards/uid/{quote(uid, safe='')}")
        meta = answer.get("meta", {})
        external = str(meta.get("provisionedExternalId") or "a file") if meta.get("provisioned") else ""
        dashboard = answer["dashboard"]
        version = int(dashboard.get("version") or meta.get("version") or 0)
        return Live(
            dashboard, str(meta.get("folderUid") or ""), external, version, may_save=bool(meta.get("canSave", True))
        )

    @_read
    def history(self, uid: str) -> list[Save]:
        """Return the saves of a dashboard, the newest first; none where Grafana keeps or shows no history."""
        path = f"/api/dashboards/uid/{quote(uid, safe='')}/versions"
        answer = self._ask("GET", path, {"limit": "100"}, may_be_missing=True)
        # A bare list up to Grafana 10; from 11 on it is the part of an object that can be paged.
        entries = answer.get("versions", []) if isinstance(answer, dict) else answer or []
        saves = [self._save(path, entry) for entry in entries]
        return sorted(saves, key=lambda save: -save.version)

    def _save(self, path: str, entry: Json) -> Save:
        # The list calls the first version "Initial save", whatever it was saved with, and up to Grafana 10 it has
        # numbers in place of users' names.
        if not entry.get("parentVersion") or not isinstance(entry.get("createdBy"), str):
            entry |= self._ask("GET", f"{path}/{entry['version']}", may_be_missing=True) or {}
        by = entry.get("createdBy")
        return Save(
            int(entry["version"]),
            str(entry.get("message") or ""),
            by if isinstance(by, str) else "",
            str(entry.get("created") or ""),
        )

    @_read
    def saved(self, uid: str, version: int) -> Json | None:
        """Return what was saved as this version, None where that is not kept."""
        path = f"/api/dashboards/uid/{quote(uid, safe='')}/versions/{version}"
        answer = self._ask("GET", path, may_be_missing=True)
        data = answer.get("data") if answer else None
        return data if isinstance(data, dict) else None

    @_read
    def save(self, dashboard: Json, *, folder: str, message: str) -> int:
        """Save a dashboard and return its new version.

        Args:
            dashboard: Its JSON; `version` is the one that it replaces, and missing for a new one.
            folder: Uid of the folder.
            message: Entry in the version history.

        Raises:
            ChangedMeanwhileError: If the version is not the one that Grafana has.
            NotTakenError: If Grafana does not take this one.
            GrafanaError: If Grafana takes none.
        """
        # Never `overwrite`: up to Grafana 10 that also replaces another dashboard of the same title in the folder.
        body = {"dashboard": dashboard, "folderUid": folder, "message": message, "overwrite": False}
        answer: Json = self._ask("POST", "/api/dashboards/db", body=body)
        return int(answer.get("version", 0))

    def delete(self, uid: str) -> None:
        """Delete a dashboard."""
        self._ask("DELETE", f"/api/dashboards/uid/{quote(uid, safe='')}")

    @_read
    def search(self, tag: str = "") -> list[Found]:
        """Return all dashboards that the token may see, or those with a tag."""
        query = {"type": "dash-db"} | ({"tag": tag} if tag else {})
        return [
            Found(
                str(entry["uid"]),
                str(entry["title"]),
                # Missing at the top level.
                str(entry.get("folderUid") or ""),
                str(entry.get("folderTitle") or ""),
            )
            for entry in self._pages("/api/search", query)
        ]

    @_read
    def folders(self) -> dict[str, str]:
        """Return the titles of the folders at the top level that the token may see, by uid."""
        entries = self._pages("/api/folders", {})
        return {str(entry["uid"]): str(entry["title"]) for entry in entries}

    @_read
    def folder(self, uid: str) -> str | None:
        """Return a folder's title, None where there is none with this uid."""
        answer = self._ask("GET", f"/api/folders/{quote(uid, safe='')}", may_be_missing=True)
        return str(answer["title"]) if answer else None

    def create_folder(self, uid: str, title: str) -> None:
        """Create a folder at the top level."""
        self._ask("POST", "/api/folders", body={"uid": uid, "title": title})

    @_read
    def datasources(self) -> tuple[Datasource, ...]:
        """Return all data sources that the token may query."""
        entries = self._ask("GET", "/api/datasources", may_be_missing=True)
        if entries is None:
            # Where a licence narrows who reads data sources, an Editor sees them only as a browser does.
            entries = self._ask("GET", "/api/frontend/settings")["datasources"].values()
        return tuple(
            Datasource(str(entry["uid"]), str(entry["name"]), str(entry["type"]), bool(entry.get("isDefault")))
            for entry in entries
        )

    def provisioning(
        self, method: str, path: str, body: Any = None, *, may_be_missing: bool = False, editable: bool = False
    ) -> Any:
        """Ask the API of Grafana's alerting and return the answer; None for one that may be missing.

        Args:
            method: `GET`, `PUT`, `POST` or `DELETE`.
            path: Below `/api/v1/provisioning/`.
            body: JSON.
            may_be_missing: Whether there may be none of these.
            editable: Whether people can go on editing it in the browser, where Grafana knows of that.
        """
        headers = {"X-Disable-Provenance": "true"} if editable else {}
        return self._ask(
            method,
            f"/api/v1/provisioning/{path}",
            body=body,
            headers=headers,
            may_be_missing=may_be_missing,
            done=frozenset({200, 201, 202, 204}),
        )

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Json]:
        for page in count(1):
            entries = self._ask("GET", path, {**query, "limit": str(_PAGE), "page": str(page)})
            yield from entries
            if len(entries) < _PAGE:
                return

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        may_be_missing: bool = False,
        done: frozenset[int] = frozenset({200}),
    ) -> Any:
        try:
            answer = self._session.request(
                method,
                self.url + path,
                params=query,
                json=body,
                headers={"Accept": "application/json", **headers},
                timeout=self._timeout,
                verify=self._verify,
                proxies=self._proxies,
                # A redirected POST would become a GET and seem to succeed.
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            # OSError: a file of certificates that is not there.
            way = "" if self._proxies else over_proxy(self.url)
            raise GrafanaError(f"{self.url} cannot be reached{way}: {describe_failure(error)}") from error
        if answer.status_code in _MISSING and may_be_missing:
            return None
        if answer.status_code not in done:
            raise self._refusal(method, path, answer)
        if answer.status_code == 204:
            return None
        try:
            return answer.json()
        except requests.JSONDecodeError as error:
            what = page_title(answer.text) if is_page(answer.text) else "no JSON"
            raise GrafanaError(f"{method} {path}: the answer is {what}; is {self.url} Grafana's address?") from error

    def _refusal(self, method: str, path: str, answer: requests.Response) -> GrafanaError:
        what = f"{method} {path}: {answer.status_code} {answer.reason}"
        try:
            content = answer.json()
        except requests.JSONDecodeError:
            content = None
        # A proxy in front of Grafana answers with pages of its own.
        said = content if isinstance(content, dict) else {}
        message = str(said.get("message") or "")
        if answer.status_code == 412 and said.get("status") == "version-mismatch":
            return ChangedMeanwhileError(f"{what}: {message}", answer.status_code)
        if answer.status_code == 412 and said.get("status") in {"name-exists", "plugin-dashboard"}:
            return NotTakenError(message, answer.status_code)
        if answer.status_code == 400 and "provisioned dashboard" in message:
            return NotTakenError(message, answer.status_code)
        if answer.status_code == 403 and message == "Quota reached":
            return GrafanaError(f"{what}: {message}: the organisation may have no more of them", answer.status_code)
        if answer.is_redirect:
            address = answer.headers.get("Location", "another one")
            where = f"Grafana's address is {address}"
            if "login" in address.lower() or "oauth" in address.lower():
                where = f"a login stands before it ({address}), which must let requests with a token through"
            return GrafanaError(f"{what}: {where}", answer.status_code)
        role = "Admin" if "/provisioning/" in path else "Viewer" if method == "GET" else "Editor"
        hints = {
            401: "the token is wrong, or its service account is disabled",
            403: f"the token's service account needs the role {role}, or the permissions that the guide lists",
            # Grafana itself says what was not found.
            404: f"is {self.url} Grafana's address, with its path?" if message in {"", "Not found"} else "",
            409: "the token may not see it; choose another with --folder" if path == "/api/folders" else "",
        }
        # Grafana refuses in JSON.
        other = "" if said or answer.status_code in _OF_PROXIES else f"is {self.url} Grafana's address?"
        text = ": ".join(filter(None, [what, message, hints.get(answer.status_code, other)]))
        return GrafanaError(text, answer.status_code)
