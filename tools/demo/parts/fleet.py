"""An incident in a fleet of servers, replayed from a file again and again."""

from __future__ import annotations

from collections.abc import Sequence

from demo.fleet import DEFAULT_START, write
from demo.fleet_incident import PHASES, Incident
from tools.demo.parts.base import Contribution, Look, Place, PortUse

_DURATION = 300
_INTERVAL = 5
_FLEET_SIZE = 24


class FleetIncident:
    """The part; see `demo.fleet_incident` for the story."""

    name = "fleet"
    doing = "writing the file of a fleet that has an incident"
    ports: Sequence[PortUse] = ()

    def prepare(self, place: Place) -> Contribution:
        """Write the file; the exporter replays it by itself."""
        incident = Incident(
            duration_ms=_DURATION * 1000,
            interval_ms=_INTERVAL * 1000,
            fleet_size=_FLEET_SIZE,
            seed=42,
            start=DEFAULT_START,
            calm=place.calm,
        )
        path, _explanation = write(incident, place.directory.resolve(), ("csv",))
        begins = ", ".join(f"{phase.name} at {_clock(phase.begin * _DURATION // 1000)}" for phase in PHASES)
        fleet = {"path": str(path), "mode": "replay", "at_end": "loop", "interval": f"{_INTERVAL}s"}
        return Contribution(
            settings={"sources": {"fleet": fleet}},
            looks=(Look(f"A fleet has an incident every five minutes: {begins}:", page="fleet-incident"),),
        )


def _clock(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"
