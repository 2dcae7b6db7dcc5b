"""URIs, settings of the exporter, its web configuration, and thresholds."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ml_monitoring.alerting.domains import ALERTS
from ml_monitoring.alerting.model import thresholds
from ml_monitoring.exporter import config
from ml_monitoring.exporter.database import connect
from ml_monitoring.exporter.errors import ConfigError
from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.web_config import WebConfig
from tests.fuzz.mutation import changed, mutated, nested
from tests.fuzz.target import SECRET, Check, Target

_MOST_TEXT = 20_000
_JUNK = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    [*"/?#@:%&=+[]{} ", "%40", "%zz", "%c3%28", "//", "@@", "host=a", "\n", "\0"]
)


@st.composite
def _uris(draw: st.DrawFn) -> bytes:
    """Return a URI with the secret in its password, raw or encoded, in any of the places that hold one."""
    scheme = draw(st.sampled_from(["postgresql", "postgresql+psycopg2", "postgres", "mysql+pymysql", "http", "sqlite"]))
    password = draw(_JUNK) + SECRET + draw(_JUNK)
    user = draw(st.sampled_from(["u", "", "a%40b"]))
    host = draw(st.sampled_from(["127.0.0.1:1", "", "[::1]:1", "[::1", "h:port", "a,b", "h:1:2"]))
    tail = draw(
        st.sampled_from(["/d", "", "/d?sslmode=disable", "/d?host=/nowhere&port=1", "?x", "/d?connect_timeout=x"])
    )
    shape = draw(st.sampled_from(["{s}://{u}:{p}@{h}{t}", "{s}://{u}@{h}/d?password={p}", "{s}:{u}:{p}@{h}{t}"]))
    return shape.format(s=scheme, u=user, p=password, h=host, t=tail).encode()


@contextlib.contextmanager
def _uri(_folder: Path) -> Iterator[Check]:
    def check(content: bytes) -> None:
        uri = content.decode("utf-8", "replace")
        environ = {"ML_MONITORING_SOURCES__MLFLOW__URI": uri}
        texts = []
        # Without slashes it is no address, and where a raw space is in one, its end cannot be known.
        if "://" in uri.partition(SECRET)[0] and len(uri.split()) == 1 and uri.isprintable():
            texts = [redact(uri), redact(f"cannot connect to {uri}: no")]
        problem = ""
        try:
            settings = config.load(environ=environ)
            texts += [str(settings), repr(settings)]
        except ConfigError as error:
            problem = str(error)
        assert not problem or "sources.mlflow.uri" in problem or "ML_MONITORING_SOURCES__MLFLOW__URI" in problem
        texts.append(problem)
        with contextlib.suppress(ValueError):
            texts.append(repr(connect(uri, timeout=1.0)))
        for text in texts:
            assert SECRET not in text, text

    yield check


URI = Target("uri", _uris(), _uri, short=200)

_EXPORTER: dict[str, Any] = {
    "log": {"level": "info", "format": "logfmt"},
    "web": {"host": "127.0.0.1", "port": 9847, "telemetry_path": "/metrics", "enable_lifecycle": False},
    "sources": {
        "mlflow": {
            "uri": f"postgresql://u:{SECRET}@127.0.0.1/d",
            "interval": "15s",
            "experiments": {"include": ["*"], "exclude": []},
            "labels": {"model_variant": ["param:v"]},
        },
        "variants": {"uri": f"postgresql://u:{SECRET}@127.0.0.1/d", "split": {"weights": {"a": 2}}},
        "fleet": {
            "path": "/data/fleet.csv",
            "mode": "follow",
            "columns": {"cpu_pct": {"column": "cpu", "unit": "ratio"}},
            "timezone": "Europe/Berlin",
        },
    },
}
_WEB: dict[str, Any] = {
    "tls_server_config": {"cert_file": "a.pem", "key_file": "b.pem", "min_version": "TLS12"},
    "http_server_config": {"http2": False, "headers": {"X-Frame-Options": "deny"}},
    "rate_limit": {"interval": "1s", "burst": 20},
    "basic_auth_users": {"ada": "$2b$04$" + "a" * 53},
}
_THRESHOLDS: dict[str, Any] = {
    "traffic": {"window": "5m"},
    "alerts": {
        "MlflowRunHanging": {"threshold": "1d", "for": "5m", "severity": "info", "team": "mlops"},
        "HostDiskFilling": {"threshold": "4h", "parameters": {"window": "6h", "free_below": 0.15}, "enabled": True},
    },
    "notifications": {
        "runbooks_url": "https://example.org/",
        "channels": {"hook": {"kind": "webhook", "teams": ["mlops"], "url": f"http://u:{SECRET}@127.0.0.1/"}},
    },
}
_KEYS = st.sampled_from(
    ["sources", "web", "alerts", "uri", "threshold", "for", "kind", "url", "", "<<", "labels", "unit"]
)
_LAUGHS = "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 8)}]" for before, name in zip("abc", "bcd", strict=True)
)
_TEXTS = st.sampled_from(
    [
        *("a: &a [*a]", "a: &a {b: *a}", "&x {<<: *x}", "- 1\n- 2", "? [a]\n: b", "a: 1\na: 2"),
        *(
            "!!python/object:os.system {}",
            "%YAML 9.9\n---\na",
            "---\n---\n",
            "\t- x",
            "a: |\n\tb",
            "\ufeffa: 1",
            "{{}}",
        ),
        *("a: 1e999", "a: 0o17", "a: 2026-02-30", "a: 0b2", "a: 1:99", f"a: &a [x, x]\n{_LAUGHS}"),
        *("[" * 2_000, "{a: " * 500, "a: " * 50),
    ]
).map(str.encode)


def _yaml_files(tree: dict[str, Any]) -> SearchStrategy[bytes]:
    def dump(value: Any) -> bytes:
        return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")

    return st.one_of(
        changed(tree, nested(_KEYS)).map(dump),
        nested(_KEYS).map(dump),
        mutated([dump(tree)]),
        _TEXTS,
        st.binary(max_size=100),
    )


@contextlib.contextmanager
def _read_by(read: Callable[[Path], Any], folder: Path) -> Iterator[Check]:
    path = folder / "settings.yml"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            texts: Sequence[str] = [repr(read(path))]
        except ConfigError as error:
            texts = error.problems
            assert texts, "an error without a problem"
            assert all(text.strip() for text in texts)
            assert sum(map(len, texts)) < _MOST_TEXT
            texts = [*texts, str(error)]
        # A changed file can have it where no secret belongs, under a name that says nothing of secrets.
        if SECRET.encode() in content and _is_in_place(content):
            assert not any(SECRET in text for text in texts), texts

    yield check


def _is_in_place(content: bytes) -> bool:
    """Tell whether the secret is where the settings have it, as passwords of addresses."""
    return content.count(SECRET.encode()) == content.count(f"u:{SECRET}@127.0.0.1".encode())


def _exporter_settings(path: Path) -> Any:
    return config.load(path, environ={})


def _thresholds(path: Path) -> Any:
    return thresholds.read(ALERTS, [path])


SETTINGS = Target("settings", _yaml_files(_EXPORTER), functools.partial(_read_by, _exporter_settings), short=100)
WEB_CONFIG = Target("web_config", _yaml_files(_WEB), functools.partial(_read_by, WebConfig), short=100)
THRESHOLDS = Target("thresholds", _yaml_files(_THRESHOLDS), functools.partial(_read_by, _thresholds), short=40)
