"""Metrics of the source `fleet`."""

from __future__ import annotations

from ml_monitoring.exporter.catalog.base import Metric, Unit, counter, gauge

_ORIGIN = "fleet"
_SERVER = ("server", "profile")
_FILE = ("file",)


def _gauge(name: str, help: str, unit: Unit, *labels: str) -> Metric:
    return gauge(name, help, unit, *labels, origin=_ORIGIN)


def _counter(name: str, help: str, *labels: str) -> Metric:
    return counter(name, help, Unit.COUNT, *labels, origin=_ORIGIN)


FLEET_METRICS = (
    # Servers
    _gauge("fleet_server_cpu_utilization_ratio", "CPU in use, column cpu_pct.", Unit.RATIO, *_SERVER),
    _gauge("fleet_server_memory_utilization_ratio", "Memory in use, column mem_pct.", Unit.RATIO, *_SERVER),
    _gauge("fleet_server_latency_seconds", "Time to answer a request, column latency_ms.", Unit.SECONDS, *_SERVER),
    _gauge("fleet_server_error_ratio", "Share of requests that failed, column error_rate.", Unit.RATIO, *_SERVER),
    _gauge(
        "fleet_server_disk_io_bytes_per_second",
        "Read from and written to disk, column disk_io_mb_s.",
        Unit.BYTES_PER_SECOND,
        *_SERVER,
    ),
    _gauge(
        "fleet_server_network_receive_bytes_per_second",
        "Received, column net_in_mb_s.",
        Unit.BYTES_PER_SECOND,
        *_SERVER,
    ),
    _gauge(
        "fleet_server_network_transmit_bytes_per_second",
        "Sent, column net_out_mb_s.",
        Unit.BYTES_PER_SECOND,
        *_SERVER,
    ),
    _gauge("fleet_server_gc_pause_seconds", "Garbage collector's pause, column gc_pause_ms.", Unit.SECONDS, *_SERVER),
    _gauge(
        "fleet_server_state",
        "1 for the state that the server's newest row gives, 0 for the others.",
        Unit.FLAG,
        *_SERVER,
        "state",
    ),
    _gauge(
        "fleet_server_risk_ratio",
        "Risk score of the server by the risk model in use; near 0 at the server's normal.",
        Unit.RATIO,
        *_SERVER,
    ),
    _gauge(
        "fleet_server_cause_info",
        "Always 1; what the built-in risk model finds most wrong with a server whose risk is above 0.1.",
        Unit.INFO,
        *_SERVER,
        "cause",
    ),
    _counter(
        "fleet_server_oom_events_total",
        "Rows in which the server's container was out of memory, column container_oom, since the exporter started.",
        *_SERVER,
    ),
    # Fleet
    _gauge(
        "fleet_incident_probability_ratio",
        "Probability that the fleet has an incident, from the risk scores of all servers.",
        Unit.RATIO,
    ),
    _gauge(
        "fleet_incident_phase",
        "1 for the phase that the newest row gives, 0 for the others seen, column incident_phase.",
        Unit.FLAG,
        "phase",
    ),
    _counter(
        "fleet_risk_model_failures_total",
        "Refreshes that the risk model could not score, so that the built-in one did, by reason.",
        "model",
        "reason",
    ),
    # File
    _gauge(
        "fleet_file_info",
        "Always 1; the labels carry how the file is read and the configured risk model.",
        Unit.INFO,
        *_FILE,
        "mode",
        "model",
    ),
    _counter("fleet_file_rows_total", "Rows read by outcome; every outcome but ok was left out.", *_FILE, "outcome"),
    _gauge(
        "fleet_file_position_timestamp_seconds",
        "Time of the newest row that was read, as the file gives it.",
        Unit.TIMESTAMP,
        *_FILE,
    ),
    _gauge("fleet_replay_progress_ratio", "How much of the file's time has been replayed.", Unit.RATIO, *_FILE),
)
