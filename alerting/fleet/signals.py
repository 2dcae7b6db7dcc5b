"""Signals of the pages `fleet-incident` and `fleet-server`: is there an incident, and which servers are in it?

`max without (instance)` makes one series out of those of several exporters on one file, and bridges a change of the
exporter's address.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-fleet-incident"
SERVER_PAGE: Final = "ml-monitoring-fleet-server"
# What the numbers of the signal `fleet_server_condition` mean.
CONDITIONS: Final = ("online", "warning", "critical", "offline")
_SERVER = ("profile", "server")
_FILE = ("file",)
_STATES = "max without (instance) (fleet_server_state{<filter>})"
_ALL = f"sum without (profile, server, state) ({_STATES})"
_BAD_ROWS = 'max without (instance) (increase(fleet_file_rows_total{outcome!="ok",<filter>}[<window>]))'
_ROWS = "max without (instance) (increase(fleet_file_rows_total{<filter>}[<window>]))"


def _in_state(state: str) -> str:
    return f'max without (instance, state) (fleet_server_state{{state="{state}",<filter>}})'


def _share(state: str) -> str:
    counted = f"max without (instance) (fleet_server_state{{{state},<filter>}})"
    return f"sum without (profile, server, state) ({counted}) / {_ALL}"


def _worst(name: str, title: str, metric: str, unit: Unit) -> Signal:
    return Signal(
        name=name,
        title=title,
        question="How hard is the worst-hit server of each profile hit, over a minute?",
        expr=f"max without (instance, server) (avg_over_time({metric}{{<filter>}}[1m]))",
        unit=unit,
        dashboard=PAGE,
        by=("profile",),
        filters=_SERVER,
    )


def _of_server(name: str, title: str, question: str, metric: tuple[str, Unit], legend: str = "{{server}}") -> Signal:
    return Signal(
        name=name,
        title=title,
        question=question,
        expr=f"max without (instance) ({metric[0]}{{<filter>}})",
        unit=metric[1],
        dashboard=SERVER_PAGE,
        by=_SERVER,
        filters=_SERVER,
        legend=legend,
    )


FLEET_INCIDENT_PROBABILITY: Final = Signal(
    name="fleet_incident_probability",
    title="Incident probability",
    question="How likely does the fleet have an incident, from the risk of all its servers together?",
    expr="max without (instance) (fleet_incident_probability_ratio{<filter>})",
    unit=Unit.RATIO,
    dashboard=PAGE,
)

FLEET_PHASE: Final = Signal(
    name="fleet_phase",
    title="Incident phase",
    question="Which phase of the incident does the file name at present? Only files with such a column do.",
    expr="max without (instance) (fleet_incident_phase{<filter>}) == 1",
    unit=Unit.INFO,
    dashboard=PAGE,
    by=("phase",),
)

FLEET_PHASE_BEGINS: Final = Signal(
    name="fleet_phase_begins",
    title="Incident phase start",
    question="When did each phase of the incident begin?",
    # There for a minute only: its whole duration would colour every panel.
    expr=(
        "max without (instance) (fleet_incident_phase{<filter>}) == 1"
        " unless max without (instance) (fleet_incident_phase{<filter>} offset 1m) == 1"
    ),
    unit=Unit.INFO,
    dashboard=PAGE,
    by=("phase",),
)

FLEET_DEGRADED_SHARE: Final = Signal(
    name="fleet_degraded_share",
    title="Degraded servers",
    question="What share of the servers is in any state but online? Many at once point to one common cause.",
    expr=_share('state!="online"'),
    unit=Unit.RATIO,
    dashboard=PAGE,
    filters=_SERVER,
)

FLEET_SERVERS_BY_STATE: Final = Signal(
    name="fleet_servers_by_state",
    title="Servers by state",
    question="How many servers are in each state?",
    expr=f'label_replace(sum without (profile, server) ({_STATES}), "state", "critical", "state", "critical_issue")',
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("state",),
    filters=_SERVER,
)

FLEET_SERVER_IN_TROUBLE: Final = Signal(
    name="fleet_server_in_trouble",
    title="Critical or offline servers",
    question="Which servers are critical or offline?",
    # Only those that are: the bands of a large fleet's healthy servers would hide them.
    expr='max without (instance) (fleet_server_state{state=~"critical_issue|offline",<filter>}) == 1',
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=(*_SERVER, "state"),
    filters=_SERVER,
    legend="{{server}} {{state}}",
)

FLEET_RISK_STRIP: Final = Signal(
    name="fleet_risk_strip",
    title="Risk timeline: top 30 servers",
    question="When did each server's risk rise? One band per server, the one with the highest risk on top.",
    # Prometheus sorts series by their labels, so the risk becomes one: 100 for certain trouble, 200 for none. It is
    # the highest of the shown range, so that a server keeps its place in it.
    expr=(
        "max without (instance) (fleet_server_risk_ratio{<filter>})"
        " * on (cluster, namespace, job, store, profile, server) group_left (order)"
        ' count_values by (cluster, namespace, job, store, profile, server) ("order", round(200 - 100 *'
        " topk(30, max without (instance) (max_over_time(fleet_server_risk_ratio{<filter>}[<window>] @ end())))))"
    ),
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=("order", *_SERVER),
    filters=_SERVER,
    legend="{{server}}",
    window="1h",
)

FLEET_CPU_WORST: Final = _worst("fleet_cpu_worst", "CPU", "fleet_server_cpu_utilization_ratio", Unit.RATIO)

FLEET_LATENCY_WORST: Final = _worst("fleet_latency_worst", "Latency", "fleet_server_latency_seconds", Unit.SECONDS)

FLEET_ERROR_WORST: Final = _worst("fleet_error_worst", "Errors", "fleet_server_error_ratio", Unit.RATIO)

FLEET_OOM_EVENTS: Final = Signal(
    name="fleet_oom_events",
    title="OOM events",
    question="Which servers ran out of memory?",
    expr="max without (instance) (increase(fleet_server_oom_events_total{<filter>}[<window>])) > 0",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_SERVER,
    filters=_SERVER,
    legend="{{server}}",
)

FLEET_FILE_ADVANCES: Final = Signal(
    name="fleet_file_advances",
    title="File updates (5m)",
    question="Does the followed file still bring new rows? A replayed one may be held at its end.",
    expr=(
        "max without (instance) (changes(fleet_file_position_timestamp_seconds{<filter>}[5m]))"
        ' and on (cluster, namespace, job, store, file) fleet_file_info{mode="follow",<filter>}'
        # A file without any row has no position.
        ' or 0 * max without (instance, mode, model) (fleet_file_info{mode="follow",<filter>})'
    ),
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=_FILE,
    filters=_FILE,
    over_time=False,
)

FLEET_DATA_AGE: Final = Signal(
    name="fleet_data_age",
    title="Newest row age",
    question="How old is the newest row of the followed file, by its own clock?",
    expr=(
        "time() - max without (instance) (fleet_file_position_timestamp_seconds{<filter>})"
        ' and on (cluster, namespace, job, store, file) fleet_file_info{mode="follow",<filter>}'
    ),
    unit=Unit.SECONDS,
    dashboard=PAGE,
    by=_FILE,
    filters=_FILE,
)

FLEET_REPLAY_PROGRESS: Final = Signal(
    name="fleet_replay_progress",
    title="Replay progress",
    question="How much of the replayed file's time has passed?",
    expr="max without (instance) (fleet_replay_progress_ratio{<filter>})",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_FILE,
    filters=_FILE,
)

FLEET_BAD_ROWS_SHARE: Final = Signal(
    name="fleet_bad_rows_share",
    title="Invalid row ratio",
    question="What share of the rows could not be used?",
    expr=f"sum without (outcome) ({_BAD_ROWS}) / (sum without (outcome) ({_ROWS}) > 0)",
    unit=Unit.RATIO,
    dashboard=PAGE,
    by=_FILE,
    filters=_FILE,
    window="10m",
)

FLEET_RISK_MODEL_FAILURES: Final = Signal(
    name="fleet_risk_model_failures",
    title="Risk model failures",
    question="Did the chosen risk model fail, so that the built-in one scored instead?",
    expr="max without (instance) (increase(fleet_risk_model_failures_total{<filter>}[<window>]))",
    unit=Unit.COUNT,
    dashboard=PAGE,
    by=("model", "reason"),
    legend="{{model}}: {{reason}}",
)

FLEET_SERVER_RISK: Final = _of_server(
    "fleet_server_risk",
    "Risk",
    "How likely is the server in trouble, measured against what is normal for it?",
    ("fleet_server_risk_ratio", Unit.RATIO),
)

FLEET_SERVER_CAUSE: Final = Signal(
    name="fleet_server_cause",
    title="Cause of risk",
    question="What is most wrong with the server: CPU, memory, latency, errors, GC pauses, network, or its state?",
    expr="max without (instance) (fleet_server_cause_info{<filter>})",
    unit=Unit.INFO,
    dashboard=PAGE,
    by=(*_SERVER, "cause"),
    filters=_SERVER,
)

FLEET_SERVER_CONDITION: Final = Signal(
    name="fleet_server_condition",
    title="Server state",
    question="In which state does the server say that it is?",
    # One number a server, so that each gets one band; see CONDITIONS.
    expr=" + ".join(
        f"{code} * {_in_state(state)}" for code, state in enumerate(("warning", "critical_issue", "offline"), 1)
    ),
    unit=Unit.ANY,
    dashboard=SERVER_PAGE,
    by=_SERVER,
    filters=_SERVER,
    legend="{{server}}",
)

FLEET_SERVER_SINCE: Final = Signal(
    name="fleet_server_since",
    title="Critical since",
    question="Since when is each server critical or offline?",
    expr=(
        "min by (cluster, namespace, profile, server) "
        '(ALERTS_FOR_STATE{alertname="FleetServerCritical",<own_alerts>,<filter>})'
    ),
    unit=Unit.TIMESTAMP,
    dashboard=PAGE,
    by=_SERVER,
    filters=_SERVER,
    legend="{{server}}",
)

FLEET_SERVER_CPU: Final = _of_server(
    "fleet_server_cpu",
    "CPU and memory",
    "Is the server short of CPU or memory?",
    ("fleet_server_cpu_utilization_ratio", Unit.RATIO),
    "{{server}} CPU",
)

FLEET_SERVER_MEMORY: Final = _of_server(
    "fleet_server_memory",
    "Memory",
    "Is the server short of memory?",
    ("fleet_server_memory_utilization_ratio", Unit.RATIO),
    "{{server}} memory",
)

FLEET_SERVER_LATENCY: Final = _of_server(
    "fleet_server_latency",
    "Latency",
    "How long does the server take to answer?",
    ("fleet_server_latency_seconds", Unit.SECONDS),
)

FLEET_SERVER_ERRORS: Final = _of_server(
    "fleet_server_errors",
    "Errors",
    "What share of its requests fails?",
    ("fleet_server_error_ratio", Unit.RATIO),
)

FLEET_SERVER_GC_PAUSE: Final = _of_server(
    "fleet_server_gc_pause",
    "GC pauses",
    "Do pauses explain the latency?",
    ("fleet_server_gc_pause_seconds", Unit.SECONDS),
)

FLEET_SERVER_DISK_IO: Final = _of_server(
    "fleet_server_disk_io",
    "Disk I/O",
    "Does the server read and write more than usual?",
    ("fleet_server_disk_io_bytes_per_second", Unit.BYTES_PER_SECOND),
)

FLEET_SERVER_RECEIVED: Final = _of_server(
    "fleet_server_received",
    "Network",
    "How much does the server receive and send?",
    ("fleet_server_network_receive_bytes_per_second", Unit.BYTES_PER_SECOND),
    "{{server}} received",
)

FLEET_SERVER_SENT: Final = _of_server(
    "fleet_server_sent",
    "Network, sent",
    "How much does the server send?",
    ("fleet_server_network_transmit_bytes_per_second", Unit.BYTES_PER_SECOND),
    "{{server}} sent",
)
