"""What sessions on database servers share: one connection that is kept, and replaced where it turns out to be dead."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar, Generic, TypeVar

from typing_extensions import override

from ml_monitoring.exporter.database.base import Session
from ml_monitoring.exporter.database.text import noting
from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.redaction import Secrets
from ml_monitoring.exporter.regular_files import Identity, identities

APPLICATION_NAME = "ml-monitoring-exporter"
_Connection = TypeVar("_Connection")
# What the file of a URI can say otherwise by now.
_MAYBE_ROTATED = frozenset({Reason.AUTH, Reason.CONNECT})


class ServerSession(Session, Generic[_Connection]):
    """A read-only connection to a server, made when it is first used.

    Args:
        uri: Where to connect to.
        timeout: Limit in seconds for connecting and for each statement.
        read_again: Reads the URI again where it came from; asked when a connection is refused.

    Raises:
        ValueError: The URI is malformed; the message holds nothing of it.
    """

    # What the driver raises.
    errors: ClassVar[tuple[type[Exception], ...]]

    def __init__(self, uri: str, *, timeout: float, read_again: Callable[[], str] | None = None) -> None:
        super().__init__()
        self._read_again = read_again
        self._timeout = timeout
        self._allowed = timeout
        self._aborted = False
        self._connection: _Connection | None = None
        self._opened = 0
        self._trust: Sequence[Identity | None] = ()
        self._use(uri)

    def _use(self, uri: str) -> None:
        self._take(uri)
        self._uri = uri
        self._secrets = Secrets.of_uri(uri)

    @abstractmethod
    def _take(self, uri: str) -> None:
        """Make what is needed for a connection of a URI.

        Raises:
            ValueError: The URI is malformed; the message holds nothing of it.
        """

    @abstractmethod
    def _trusted_files(self) -> Iterable[str]:
        """Return the files and folders by which server and client trust each other."""

    @abstractmethod
    def _connect(self) -> _Connection:
        """Connect.

        Raises:
            SourceError: The server cannot be reached or refuses.
        """

    @abstractmethod
    def _is_usable(self, connection: _Connection) -> bool:
        """Tell whether a connection is open, as far as is known without asking the server."""

    @abstractmethod
    def _begin_on(self, connection: _Connection) -> None:
        """Begin a transaction with its limits."""

    @abstractmethod
    def _end_on(self, connection: _Connection) -> None:
        """End a transaction, in which nothing was written."""

    @abstractmethod
    def _is_lost(self, error: Exception) -> bool:
        """Tell whether an error of the driver's says that there is no connection any more."""

    @abstractmethod
    def _query_error(self, error: Exception) -> SourceError:
        """Say of an error of the driver's what it is."""

    @property
    @override
    def opened(self) -> int:
        return self._opened

    @property
    def is_outdated(self) -> bool:
        """Tell whether certificates or revocations are others than those by which the connection was made."""
        return self._is_open and self._trust != identities(self._trusted_files())

    @property
    def _is_open(self) -> bool:
        return self._connection is not None and self._is_usable(self._connection)

    @property
    def connection(self) -> _Connection:
        """Return the open connection, opened now when there is none.

        Raises:
            SourceError: The server cannot be reached or refuses.
        """
        if self._connection is None or not self._is_usable(self._connection):
            self._connection = self._open()
            self._opened += 1
        return self._connection

    @contextlib.contextmanager
    @override
    def transaction(self) -> Iterator[None]:
        """Read from one snapshot of the database; any error closes the connection."""
        with noting(self.replaced):
            connection = self._begin()
            with self._closed_by_errors():
                yield
                # Nothing was written; this only ends the snapshot, so that old rows can be removed.
                self._end_on(connection)

    def describe(self, error: Exception) -> str:
        """Return the words of an error without anything of the URI that may be secret."""
        return self._secrets.withhold(str(error)) or type(error).__name__

    @contextlib.contextmanager
    def _closed_by_errors(self) -> Iterator[None]:
        """Close the connection where anything fails, and say of the driver's errors what they are."""
        try:
            yield
        except self.errors as error:
            self.close()
            raise self._query_error(error) from None
        except BaseException:
            self.close()
            raise

    def _open(self) -> _Connection:
        try:
            return self._connect_trusting()
        except SourceError as error:
            if error.reason not in _MAYBE_ROTATED or not self._take_new_uri():
                raise
        return self._connect_trusting()

    def _connect_trusting(self) -> _Connection:
        # Before they are read: what changes meanwhile is read again.
        self._trust = identities(self._trusted_files())
        return self._connect()

    def _take_new_uri(self) -> bool:
        """Tell whether the file of the URI holds another one by now, and use it."""
        if self._read_again is None:
            return False
        try:
            uri = self._read_again()
            if uri == self._uri:
                return False
            self._use(uri)
        except ValueError:
            return False
        return True

    def _begin(self) -> _Connection:
        """Begin a transaction with its limits, on another connection where the kept one turns out to be dead."""
        self._allowed = self._timeout
        self._aborted = False
        if self.is_outdated:
            self.close()
        was_kept = self._is_open
        try:
            connection = self.connection
            self._begin_on(connection)
        except self.errors as error:
            lost = self._is_lost(error) or not self._is_open
            self.close()
            if not was_kept or not lost or self._aborted:
                raise self._query_error(error) from None
        else:
            return connection
        # The server, a pooler or a firewall ended it since it was last used.
        with self._closed_by_errors():
            connection = self.connection
            self._begin_on(connection)
        return connection
