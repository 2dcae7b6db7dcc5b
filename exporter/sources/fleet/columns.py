"""The columns of a fleet file: their names and units in the user's file, and what a row of it means.

A row becomes a `Sample` in base units or a `RowError`; it is never half used. To read one more column, add it to
`QUANTITIES` (a number) or to `TEXTS`, and a field of the same place to `Sample`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator

from ml_monitoring.exporter.errors import Reason, SourceError
from ml_monitoring.exporter.risk import Sample
from ml_monitoring.exporter.settings_hints import Names
from ml_monitoring.exporter.sources.fleet import cures
from ml_monitoring.exporter.suggestions import suggestion_or_all
from ml_monitoring.exporter.values import Model, refuse

STATES = ("critical_issue", "offline", "online", "warning")
# What cells say when there is no value.
NULL_WORDS = ("", "NULL", "null", "NaN", "nan", "NA", "None")
_NULLS = frozenset(word.lower() for word in NULL_WORDS)
_TRUE, _FALSE = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})
_MAX_LABEL = 200
_SHOWN_CELL = 40
_KNOWN_SERVERS = 50_000


class RowOutcome(StrEnum):
    """What became of a row: the closed set behind `fleet_file_rows_total{outcome}`."""

    OK = "ok"
    INCOMPLETE = "incomplete"
    INVALID_VALUE = "invalid_value"
    OUT_OF_RANGE = "out_of_range"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    OVER_LIMIT = "over_limit"


class RowError(Exception):
    """Report a row that cannot be used; the message completes `<file>, row <n>: `.

    Args:
        outcome: What it counts as.
        message: What is wrong with it.
        cure: Returns the end of the message; looked for only in the few rows that are listed.
    """

    def __init__(self, outcome: RowOutcome, message: str, cure: Callable[[], str] = str) -> None:
        self.outcome = outcome
        self._cure = cure
        super().__init__(message)

    def __str__(self) -> str:
        return f"{super().__str__()}{self._cure()}"


class Factor(NamedTuple):
    """How a value becomes one in the base unit; a division where that is what rounds right."""

    multiply: float = 1.0
    divide: float = 1.0


_SHARE = {"ratio": Factor(), "percent": Factor(divide=100.0)}
_TIME = {"s": Factor(), "ms": Factor(divide=1e3), "us": Factor(divide=1e6), "ns": Factor(divide=1e9)}
_SPEED = {
    "B/s": Factor(),
    "kB/s": Factor(1e3),
    "MB/s": Factor(1e6),
    "GB/s": Factor(1e9),
    "KiB/s": Factor(2.0**10),
    "MiB/s": Factor(2.0**20),
    "GiB/s": Factor(2.0**30),
    "kbit/s": Factor(1e3, 8.0),
    "Mbit/s": Factor(1e6, 8.0),
    "Gbit/s": Factor(1e9, 8.0),
}
ISO = "iso"
_CLOCK = {ISO: Factor(), **_TIME}


class Quantity(NamedTuple):
    """A column of numbers: its default name and unit, the units it may have, and the highest value there is."""

    name: str
    unit: str
    units: Mapping[str, Factor]
    highest: float = math.inf


QUANTITIES = (
    Quantity("cpu_pct", "percent", _SHARE, 1.0),
    Quantity("mem_pct", "percent", _SHARE, 1.0),
    Quantity("latency_ms", "ms", _TIME),
    Quantity("error_rate", "ratio", _SHARE, 1.0),
    Quantity("disk_io_mb_s", "MB/s", _SPEED),
    Quantity("net_in_mb_s", "MB/s", _SPEED),
    Quantity("net_out_mb_s", "MB/s", _SPEED),
    Quantity("gc_pause_ms", "ms", _TIME),
)
# Without these two a row says nothing; all other required columns can be declared absent.
KEYS = ("timestamp", "server_name")
REQUIRED = (*KEYS, "profile", "state", *(quantity.name for quantity in QUANTITIES))
OPTIONAL = ("incident_phase", "problem_child", "container_oom")
# The order in which cells are handed on, the same as that of `Sample`.
FIELDS = (*REQUIRED, *OPTIONAL)
_UNITS: Mapping[str, Mapping[str, Factor]] = {
    "timestamp": _CLOCK,
    **{quantity.name: quantity.units for quantity in QUANTITIES},
}
_DEFAULT_UNITS = {"timestamp": ISO, **{quantity.name: quantity.unit for quantity in QUANTITIES}}
_FIRST_QUANTITY = REQUIRED.index(QUANTITIES[0].name)


class ColumnSettings(Model):
    """The user's name and unit of one column; by default ours.

    Attributes:
        column: Its name in the file.
        unit: Its unit in the file.
    """

    column: str | None = None
    unit: str | None = None


def _from_name(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {name: {"column": given} if isinstance(given, str) else given for name, given in value.items()}


def _valid_columns(value: dict[str, ColumnSettings | None]) -> dict[str, ColumnSettings | None]:
    refuse(_problems_of_columns(value))
    return value


def _problems_of_columns(value: dict[str, ColumnSettings | None]) -> Iterator[str]:
    for name, given in value.items():
        if name not in FIELDS:
            ours = given.column if given is not None else None
            meant = f"; our name stands first: `{ours}: {name}`" if ours in FIELDS else suggestion_or_all(name, FIELDS)
            yield f"{name}: no such column{meant}"
            continue
        if given is None and name in KEYS:
            yield f"{name}: cannot be absent"
        units = _UNITS.get(name, {})
        if given is not None and given.unit is not None and given.unit not in units:
            known = f"one of {', '.join(units)}" if units else "left out, this column has none"
            yield f"{name}: unit must be {known}"


Columns = Annotated[
    dict[str, ColumnSettings | None], BeforeValidator(_from_name), AfterValidator(_valid_columns), Names(FIELDS)
]


class LocalClock:
    """Reads times that give no zone, in the order in which rows come.

    When clocks go back, an hour comes twice. A row belongs to the second one when it follows its server's last row more
    closely there.

    Attributes:
        zone: The time zone.
    """

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        # The newest time of each server and the time before it, and the newest of all.
        self._last: dict[str, tuple[float, float]] = {}
        self._newest = -math.inf

    def clear(self) -> None:
        """Begin again."""
        self._last.clear()
        self._newest = -math.inf

    def read(self, moment: datetime, server: str | None) -> float:
        """Return seconds since the epoch.

        Args:
            moment: The time as it is written.
            server: Whose row it is, which is noted; None to find out the latest that it can mean, and note nothing.

        Raises:
            ValueError: There is no such time, because clocks went forward.
        """
        first = moment.replace(tzinfo=self.zone)
        time = first.timestamp()
        if self.zone is UTC:
            return time
        second = first.replace(fold=1).timestamp()
        if second < time:
            raise ValueError(f"a time that {self.zone} passes over")
        if server is None:
            return second
        last, before = self._last.get(server, (self._newest, -math.inf))
        if second > time and (second - last <= last - time or (time == last and last - before >= (second - time) / 2)):
            time = second
        if time > last or server not in self._last:
            if len(self._last) >= _KNOWN_SERVERS:
                self._last.clear()
            self._last[server] = (time, last)
            self._newest = max(time, self._newest)
        return time


@dataclass(frozen=True, slots=True)
class Layout:
    """How the user's files are laid out: names, units, decimal mark, time zone and words for states."""

    names: Mapping[str, str | None]
    factors: Mapping[str, Factor]
    iso_timestamps: bool
    clock: LocalClock
    decimal: str
    states: Mapping[str, str]

    @classmethod
    def of(
        cls, columns: Mapping[str, ColumnSettings | None], *, timezone: str, decimal: str, states: Mapping[str, str]
    ) -> Layout:
        """Make a layout of settings; columns that are not named keep our names and units."""
        names: dict[str, str | None] = {}
        units = dict(_DEFAULT_UNITS)
        for name in FIELDS:
            given = columns.get(name, ColumnSettings())
            names[name] = None if given is None else given.column or name
            if given is not None and given.unit is not None:
                units[name] = given.unit
        return cls(
            names=names,
            factors={name: _UNITS[name][unit] for name, unit in units.items()},
            iso_timestamps=units["timestamp"] == ISO,
            clock=LocalClock(UTC if timezone == "UTC" else ZoneInfo(timezone)),
            decimal=decimal,
            states={**{state: state for state in STATES}, **states},
        )

    @property
    def zone(self) -> tzinfo:
        """Return the time zone of times that give none."""
        return self.clock.zone

    def places(self, header: Sequence[str], file: str, below: str = "") -> tuple[int | None, ...]:
        """Return where each of our columns is in a file, None for those it does not have.

        Args:
            header: The names of the file's columns.
            file: What it is called.
            below: What stands in the lines below them, as far as it was read, where that is text.

        Raises:
            SourceError: A required column is missing, or a column that is needed is there twice.
        """
        wanted = {name: column for name, column in self.names.items() if column is not None}
        missing = [column for name, column in wanted.items() if name in REQUIRED and column not in header]
        if missing:
            names = set(wanted.values())
            hint = cures.of_header([name for name in REQUIRED if wanted.get(name) in missing], header, names, below)
            if several := next((each for each in header if len(names.intersection(re.split(r"\W+", each))) > 1), ""):
                hint = f"{_shorten(several)} is several columns: separate all of them by one of , ; | or by tabs"
            raise SourceError(
                Reason.SCHEMA,
                f"{file}: column {', '.join(missing)} missing; found {_shorten(', '.join(header) or 'none', 300)}",
                hint=hint,
            )
        twice = sorted({column for column in wanted.values() if header.count(column) > 1})
        if twice:
            ours = next(name for name, column in wanted.items() if column == twice[0])
            raise SourceError(
                Reason.SCHEMA,
                f"{file}: column {', '.join(twice)} is there more than once",
                hint=f"take one of them out, or name another one with sources.fleet.columns.{ours}",
            )
        return tuple(
            header.index(column) if (column := wanted.get(name)) is not None and column in header else None
            for name in FIELDS
        )


class Parser:
    """Turns the cells of one file's rows into samples.

    Cells are text (CSV) or typed values (Parquet), in the order of `FIELDS`; None means no value.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._quantities = [(quantity, layout.factors[quantity.name]) for quantity in QUANTITIES]
        self._last_time: tuple[object, float] = (None, 0.0)
        # Whether times carry an offset; a file that gives one may not leave it out later.
        self.aware: bool | None = None

    def parse(self, cells: Sequence[Any], *, peek: bool = False) -> Sample:
        """Turn one row into a sample.

        Args:
            cells: The row.
            peek: Whether its turn has not come yet; then its time is the latest that it can be.

        Raises:
            RowError: Something in it cannot be right.
        """
        server = _label(cells[1], "server_name")
        if server is None:
            raise RowError(RowOutcome.INVALID_VALUE, "server_name is empty")
        cpu, memory, latency, error, disk_io, received, sent, pause = [
            None if cell is None or cell == "" else self._quantity(cell, quantity, factor)
            for cell, (quantity, factor) in zip(cells[_FIRST_QUANTITY:], self._quantities, strict=False)
        ]
        return Sample(
            self._time(cells[0], None if peek else server),
            server,
            _label(cells[2], "profile") or "unknown",
            self._state(cells[3]),
            cpu,
            memory,
            latency,
            error,
            disk_io,
            received,
            sent,
            pause,
            _label(cells[-3], "incident_phase"),
            _flag(cells[-2], "problem_child"),
            _flag(cells[-1], "container_oom"),
        )

    def accepts(self, name: str, text: str) -> bool:
        """Tell whether `parse` would take this text in the column of this name.

        Raises:
            RowError: It would not, and says why.
        """
        if name == "state":
            self._state(text)
        elif name in ("problem_child", "container_oom"):
            _flag(text, name)
        else:
            return _label(text, name) is not None or name != "server_name"
        return True

    @staticmethod
    def is_true(text: str) -> bool:
        """Tell whether a flag column's text means true."""
        return text.strip().lower() in _TRUE

    def _quantity(self, cell: Any, quantity: Quantity, factor: Factor) -> float | None:
        value = self._number(cell, quantity.name)
        if value is None or math.isnan(value):
            return None
        result = value * factor.multiply / factor.divide
        # Infinity is no measurement, whatever the unit's range.
        if not 0.0 <= result <= quantity.highest or result == math.inf:
            bounds = (
                f"0 to {quantity.highest * factor.divide / factor.multiply:g}"
                if quantity.highest < math.inf
                else "0 or more"
            )
            said = f"{quantity.name} is {_shorten(cell)}, must be {bounds}"
            raise RowError(RowOutcome.OUT_OF_RANGE, said, partial(self._cure_of_share, value, quantity))
        return result

    def _number(self, cell: Any, name: str) -> float | None:
        if isinstance(cell, str):
            text = cell.strip()
            if text.lower() in _NULLS:
                return None
            # Python reads 1_000 as a number, no other program does.
            if "_" not in text:
                try:
                    return float(text if self.layout.decimal == "." else text.replace(",", "."))
                except ValueError:
                    pass
        elif not isinstance(cell, bool):
            try:
                return float(cell)
            except (TypeError, ValueError, OverflowError):
                pass
        said = f"{name} is {_shorten(cell)}, not a number"
        raise RowError(RowOutcome.INVALID_VALUE, said, partial(self._cure_of_number, cell, name))

    def _cure_of_number(self, cell: Any, name: str) -> str:
        return cures.of_number(cell, name, self._unit(name), _UNITS[name], self.layout.decimal)

    def _cure_of_share(self, value: float, quantity: Quantity) -> str:
        is_share = quantity.units is _SHARE
        return cures.of_share(value, quantity.name, self._unit(quantity.name)) if is_share else ""

    def cure_of_future(self, time: float, latest: float) -> str:
        """Return what makes a time one that can be.

        Args:
            time: Of a row, seconds since the epoch.
            latest: The latest that it can be.
        """
        if self.layout.iso_timestamps:
            return "" if self.aware else cures.of_local_time(time - latest, str(self.layout.zone))
        return cures.of_unit(time, latest, self._unit("timestamp"))

    def _unit(self, name: str) -> str:
        """Return the unit of a column, as the settings call it."""
        return next(unit for unit, factor in _UNITS[name].items() if factor is self.layout.factors[name])

    def _time(self, cell: Any, server: str | None) -> float:
        # The rows of one moment follow each other.
        if cell == self._last_time[0] and cell is not None:
            return self._last_time[1]
        if isinstance(cell, datetime):
            time = self._moment(cell, cell, server)
        elif not self.layout.iso_timestamps:
            number = self._number(cell, "timestamp")
            factor = self.layout.factors["timestamp"]
            if number is None or not math.isfinite(number):
                raise RowError(RowOutcome.INVALID_VALUE, f"timestamp is {_shorten(cell)}, not a time")
            time = number * factor.multiply / factor.divide
        else:
            try:
                moment = datetime.fromisoformat(cell.strip())
            except (ValueError, TypeError, AttributeError):
                said = f"timestamp is {_shorten(cell)}, not an ISO 8601 time"
                raise RowError(RowOutcome.INVALID_VALUE, said, partial(cures.of_time, cell)) from None
            time = self._moment(moment, cell, server)
        # A clock of a place is to see each row.
        if self.aware is not False or self.layout.zone is UTC:
            self._last_time = (cell, time)
        return time

    def _moment(self, moment: datetime, cell: object, server: str | None) -> float:
        aware = moment.tzinfo is not None
        if self.aware and not aware:
            raise RowError(
                RowOutcome.INVALID_VALUE, f"timestamp is {_shorten(cell)}, without the time zone that earlier rows give"
            )
        self.aware = aware
        try:
            return moment.timestamp() if aware else self.layout.clock.read(moment, server)
        except ValueError as error:
            # Years that no computer's clock knows are an error of this kind too.
            text = str(error) if "passes over" in str(error) else "out of any range"
            raise RowError(RowOutcome.INVALID_VALUE, f"timestamp is {_shorten(cell)}, {text}") from None
        except OverflowError:
            raise RowError(RowOutcome.INVALID_VALUE, f"timestamp is {_shorten(cell)}, out of any range") from None

    def _state(self, cell: Any) -> str | None:
        text = _label(cell, "state")
        if text is None:
            return None
        state = self.layout.states.get(text)
        if state is None:
            said = f"state is {_shorten(text)}, not one of {', '.join(self.layout.states)}"
            raise RowError(RowOutcome.INVALID_VALUE, said, partial(cures.of_state, text[:_SHOWN_CELL], STATES))
        return state


def _label(cell: Any, name: str) -> str | None:
    if cell is None:
        return None
    # Parquet files of older writers hold texts as bytes.
    text = (cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)).strip()
    if len(text) > _MAX_LABEL:
        raise RowError(RowOutcome.INVALID_VALUE, f"{name} is longer than {_MAX_LABEL} characters")
    if "\0" in text:
        raise RowError(RowOutcome.INVALID_VALUE, f"{name} is {_shorten(text)}, with NUL bytes")
    if "\ufffd" in text:
        raise RowError(RowOutcome.INVALID_VALUE, f"{name} is {_shorten(text)}, not UTF-8 text")
    return text or None


def _flag(cell: Any, name: str) -> bool | None:
    if cell is None or isinstance(cell, bool):
        return cell
    text = str(cell).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text in _NULLS:
        return None
    raise RowError(RowOutcome.INVALID_VALUE, f"{name} is {_shorten(cell)}, not true or false")


def _shorten(value: object, limit: int = _SHOWN_CELL) -> str:
    text = str(value)
    text = text if len(text) <= limit else f"{text[:limit]}..."
    return repr(text) if isinstance(value, str) and limit == _SHOWN_CELL else text
