"""URIs are read as SQLAlchemy reads them, and no piece of a password is in any message, whatever the form."""

from __future__ import annotations

import contextlib
import io
import os
import string
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ml_monitoring.exporter import checks, logs
from ml_monitoring.exporter.config import read
from ml_monitoring.exporter.database import connect
from ml_monitoring.exporter.database.uri import DatabaseUri
from ml_monitoring.exporter.errors import ConfigError, SourceError
from ml_monitoring.exporter.landing import landing_page
from ml_monitoring.exporter.redaction import redact
from ml_monitoring.exporter.runner import Runner

_NOBODY_LISTENS = "127.0.0.1:1"


def _of_sqlalchemy(uri: str) -> dict[str, Any] | None:
    """Return what SQLAlchemy would give to libpq, None where it refuses the URI."""
    dialect: Any = PGDialect_psycopg2
    try:
        _arguments, options = dialect().create_connect_args(make_url(uri))
    except (SQLAlchemyError, ValueError):
        return None
    return {key: value if isinstance(value, list) else str(value) for key, value in options.items()}


_HAND_WRITTEN = [
    "postgresql://u:p@h/d",
    "postgresql+psycopg2://u:p@h:5433/d?sslmode=require",
    "postgresql+psycopg://h",
    "postgresql:///d",
    "postgresql://",
    "postgresql://u@/d?host=/var/run/postgresql",
    "postgresql:///d?host=/run/a@b&user=u",
    "postgresql://u:p@[::1]:5432/d",
    "postgresql://u:p@[fe80::1%25eth0]/d",
    "postgresql://u:p@/d?host=a:1&host=b:2",
    "postgresql://u:p@/d?host=a&host=b:2",
    "postgresql://u:p@/d?host=a,b&port=1,2",
    "postgresql://u:p@/d?host=a,b&port=1",
    "postgresql://u:p@/d?host=a,b,c",
    "postgresql://u:p@h1,h2/d",
    "postgresql://u:p@/d?host=a:1",
    "postgresql://u:p@h/d?host=a:1&host=b:2&target_session_attrs=read-write",
    "postgresql://u:p@/d?host=a:1&host=b:2&port=3",
    "postgresql://u:p@h:5/d?port=6,7",
    "postgresql://u:ab%cd@h/d",
    "postgresql://u:SECRET/x@h/d",
    "postgresql://u:s3cr[e:t#?@h/d",
    "postgresql://u:s3cr%40%2F%25@h/d%20b",
    "postgresql://a%40b:+ +@h/d",
    "postgresql://u@h/?user=v&password=w%20x&dbname=e",
    "postgresql://u@h/d?options=-c%20search_path%3Dmlflow",
]


@pytest.mark.parametrize("uri", _HAND_WRITTEN)
def test_what_people_write_goes_to_libpq_as_sqlalchemy_would_give_it(uri: str) -> None:
    expected = _of_sqlalchemy(uri)
    if expected is None:
        with pytest.raises(ValueError):  # noqa: PT011  # refused by both, in words of our own
            DatabaseUri.parse(uri).libpq_arguments()
        return
    assert DatabaseUri.parse(uri).libpq_arguments() == expected
    connect(uri, timeout=1).close()


_PIECES = st.sampled_from(
    [
        *(
            "u",
            "p",
            "h",
            "d",
            "::1",
            "[::1]",
            "/",
            "//",
            "@",
            ":",
            "?",
            "&",
            "=",
            "%",
            "%40",
            "%c3%a9",
            "é",
            " ",
            "+",
            "#",
        ),
        *("host=", "port=", "user=", "password=", "host=a:1&host=b:2", "sslmode=require", ",", "5432", "\n", "[", "]"),
    ]
)


@given(st.lists(_PIECES, max_size=14).map("".join))
def test_random_uris_are_read_as_sqlalchemy_reads_them_or_refused(rest: str) -> None:
    uri = f"postgresql://{rest}"
    try:
        found = DatabaseUri.parse(uri).libpq_arguments()
    except ValueError as error:
        expected = _of_sqlalchemy(uri)
        # What is refused here alone has a reason that SQLAlchemy finds out later, or never.
        own = "@" in rest or "\n" in rest or "twice" in str(error) or "port" in str(error)
        assert expected is None or own
        return
    assert found == _of_sqlalchemy(uri)


@pytest.mark.parametrize("host", ["[u]u", "[a.b]c", "u[", "]", "[u"])
def test_a_host_in_brackets_is_an_address_alone(host: str) -> None:
    with pytest.raises(ValueError, match="a host in brackets is an IPv6 address, behind which only a port may stand"):
        DatabaseUri.parse(f"postgresql://u:p@{host}/d")


@pytest.mark.parametrize(
    "uri",
    [
        *("sqlite:///mlflow.db", "sqlite:////data/mlflow.db", "sqlite:///a/b%20c.db", "sqlite:///./x.db?timeout=5"),
        *("sqlite+pysqlite:////data/my.db", "sqlite:///file:x.db", "sqlite:////a?b=c", "sqlite:///C:/x.db"),
    ],
)
def test_sqlite_files_are_those_of_sqlalchemy(uri: str) -> None:
    url = make_url(uri)
    with contextlib.suppress(Warning):
        ((expected,), _options) = SQLiteDialect_pysqlite().create_connect_args(url.set(query={}))
        assert Path(os.path.abspath(DatabaseUri.parse(uri).sqlite_path())) == Path(expected)  # noqa: PTH100  # as SQLAlchemy


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:///file:relative.db?uri=true", "relative.db"),
        ("sqlite:///file:/data/m.db?mode=ro&uri=true", "/data/m.db"),
        ("sqlite:///file:///data/m%2520x.db?uri=true", "/data/m x.db"),
        ("sqlite:///file://localhost/data/m.db?uri=1&cache=shared", "/data/m.db"),
    ],
)
def test_a_file_uri_of_sqlite_names_its_file(uri: str, path: str) -> None:
    assert DatabaseUri.parse(uri).sqlite_path() == Path(path)


@pytest.mark.parametrize(
    "uri",
    [
        *("sqlite://", "sqlite:///", "sqlite:////", "sqlite:///:memory:", "sqlite://u:S3CRET@/x.db"),
        *("sqlite://S3CRET/x.db", "sqlite:///file:m?mode=memory&uri=true", "sqlite:///x\0S3CRET"),
    ],
)
def test_a_sqlite_uri_without_a_file_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite:///|no URI can have") as error:
        connect(uri, timeout=1)
    assert "S3CRET" not in str(error.value)


@pytest.mark.parametrize(
    "uri",
    [
        *("postgresql://u:p@S3CRET@127.0.0.1:1/d", "postgresql://u:p@S3CRET/x@127.0.0.1:1/d"),
        *("postgresql://us/er:S3CRET@127.0.0.1:1/d", "postgresql://u:p@a?S3CRET@h/d", "postgresql://u:p@a:S3CRET@h/d"),
        *("postgresql://h:S3CRET/d", "postgresql://u:p@h/d?S3CRET=1", "postgresql://u@h/d?dsn=S3CRET"),
        *("postgresql://u:S3CRET%00@h:1/d", "postgresql://u@h:1/d?password=S3CRET%00"),
        *("postgresql://u:S3CRET\0@h/d", "postgresql://u:S3CRET\udc80@h/d", "postgresql://u@h/d?port=S3CRET"),
        *("postgresql:/u:S3CRET@h/d", "postgresql//u:S3CRET@h", "S3CRET", "S3CRET://x", "u:S3CRET@h/d", ""),
        *("mssql+pyodbc://u:S3CRET@h/d", "mysql://u:p@S3CRET@h/d", "mysql://u:S3CRET/x@h/d?port=S3CRET"),
        *("host=h password=S3CRET", "postgresql://u@h/d?host=a:S3CRET&host=b:1"),
        *("postgresql://u@h/d?password=S3CRET&password=b", "postgresql://u:S3CRET@h/d?\nx", "dbname='S3CRET"),
    ],
)
def test_what_cannot_be_a_uri_is_refused_without_its_pieces(uri: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  # many reasons, none of which may quote
        connect(uri, timeout=1)
    assert "S3CRET" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql://u:p@h/d", "postgresql://***@h/d"),
        ("at postgresql+psycopg2://u:p@w:rd/@h/d now", "at postgresql+psycopg2://***@h/d now"),
        ("postgresql://u:p w\n?#/:@h", "postgresql://***@h"),
        ("host=h password=secret user=u", "host=h password=*** user=u"),
        ("host=h password = 'a \\' b' user=u", "host=h password = *** user=u"),
        ("h/d?user=u&sslpassword=a&x=b", "h/d?user=u&sslpassword=***"),
        ("http://h:5000/path", "http://h:5000/path"),
        ("nothing here", "nothing here"),
    ],
)
def test_passwords_are_taken_out_of_texts(text: str, redacted: str) -> None:
    assert redact(text) == redacted


# A mark that is in no message by chance, in the middle of anything that can be typed.
_MARK = "Zq7"
_ANYTHING = st.text(st.sampled_from(string.printable) | st.characters(), max_size=6)
_PASSWORDS = st.tuples(_ANYTHING, _ANYTHING, _ANYTHING).map(_MARK.join)
_FORMS = st.sampled_from(
    [
        lambda word: f"postgresql://u:{word}@{_NOBODY_LISTENS}/d",
        lambda word: f"postgresql://u:{quote(word, safe='')}@{_NOBODY_LISTENS}/d",
        lambda word: f"postgresql+psycopg2://{word}:{word}@{_NOBODY_LISTENS}/d",
        lambda word: f"postgresql://u@{_NOBODY_LISTENS}/d?password={word}",
        lambda word: f"postgresql://u@{_NOBODY_LISTENS}/d?password={quote_plus(word)}&sslmode=disable",
        lambda word: f"postgresql://u:x@{_NOBODY_LISTENS}/d?sslpassword={word}&password={word}",
        lambda word: f"postgresql:/u:{word}@{_NOBODY_LISTENS}/d",
        lambda word: f"postgresql://:{word}@{_NOBODY_LISTENS}",
        lambda word: f"host=127.0.0.1 port=1 user=u password={word}",
        lambda word: f"host=127.0.0.1 port=1 user=u password='{word}'",
        lambda word: f"sqlite://u:{word}@/x.db",
        lambda word: f"mssql+pyodbc://u:{word}@h/d",
        lambda word: f"mysql+pymysql://u:{word}@{_NOBODY_LISTENS}/d",
        lambda word: f"mariadb://u:{quote(word, safe='')}@{_NOBODY_LISTENS}/d?ssl_key_password={quote_plus(word)}",
        lambda word: f"https://u:{word}@h/?token={word}",
        lambda word: word,
    ]
)


def _all_that_is_said(environ: dict[str, str]) -> str:
    """Return the settings' problems, or what `check`, the log and the page say of a source that cannot be reached."""
    try:
        configuration, _layers = read((), environ)
    except ConfigError as error:
        return "\n".join(error.problems)
    said = [result.message for result in checks.run(configuration)]
    runner = Runner(configuration.enabled_sources())
    (source,) = runner._runners.values()
    source._refresh(0.0)
    source.source.close()
    return "\n".join([*said, landing_page(runner.statuses, "/metrics"), runner.snapshots.bodies.text.plain.decode()])


@settings(max_examples=60)
@given(_PASSWORDS, _FORMS, st.booleans())
@example("ab%cd" + _MARK, lambda word: f"postgresql://u:{word}@{_NOBODY_LISTENS}/d", False)
@example(f"{_MARK}/x", lambda word: f"postgresql://u:{word}@{_NOBODY_LISTENS}/d", True)
@example(f"p@{_MARK}", lambda word: f"postgresql://u:{word}@{_NOBODY_LISTENS}/d", False)
def test_no_piece_of_a_password_is_said_anywhere(
    tmp_path_factory: pytest.TempPathFactory,
    password: str,
    form: object,
    filed: bool,
) -> None:
    assert callable(form)
    uri = form(password)
    name = "ML_MONITORING_SOURCES__MLFLOW__URI"
    if filed:
        assume(not any("\ud800" <= letter <= "\udfff" for letter in uri))
        path = tmp_path_factory.getbasetemp() / "uri"
        path.write_text(uri, encoding="utf-8", newline="")
        environ = {f"{name}_FILE": str(path)}
    else:
        environ = {name: uri}
    written = io.StringIO()
    with contextlib.redirect_stderr(written):
        logs.setup("debug", "logfmt")
        said = _all_that_is_said(environ)
    assert _MARK not in said
    assert _MARK not in written.getvalue()
    # The secret in the place of its file's path.
    if "\0" not in uri and not uri.startswith("/"):
        assert _MARK not in _all_that_is_said({f"{name}_FILE": uri})


def test_a_value_that_a_parameter_does_not_take_is_said_alone() -> None:
    session = connect(f"postgresql://u@{_NOBODY_LISTENS}/d?sslmode=bogus", timeout=2)
    with pytest.raises(SourceError) as error, session.transaction():
        pass
    assert str(error.value) == 'invalid sslmode value: "bogus"'
    assert error.value.hint == "check the parameters of the URI"


def test_a_message_that_holds_the_password_by_chance_is_withheld_as_a_whole() -> None:
    session = connect("postgresql://u:Connection@127.0.0.1:1/d", timeout=2)
    withheld = "cannot connect: the words about it are withheld"
    with pytest.raises(SourceError, match=withheld) as error, session.transaction():
        pass
    assert "refused" not in str(error.value)
