"""The page `GPUs`: are they used, cool and free of errors?"""

from __future__ import annotations

from ml_monitoring.alerting.gpus.signals import (
    GPU_CAPPED,
    GPU_COUNT,
    GPU_EXPORTER_UP,
    GPU_EXPORTERS_UP,
    GPU_FAULTY,
    GPU_HOTTEST,
    GPU_IDLE,
    GPU_MEAN,
    GPU_MEMORY,
    GPU_MEMORY_ERRORS,
    GPU_POWER,
    GPU_TEMPERATURE,
    GPU_THROTTLED,
    GPU_UTILIZATION,
    GPU_XID,
    MACHINE_GPUS,
    MACHINE_RUNS,
    MACHINE_UTILIZATION,
    PAGE,
)
from ml_monitoring.dashboards.lib.context import PageContext
from ml_monitoring.dashboards.lib.page import Page, Row
from ml_monitoring.dashboards.lib.panels import Column, Panel, stat, state_timeline, table, timeseries
from ml_monitoring.dashboards.lib.queries import Query
from ml_monitoring.dashboards.lib.variables import datasource, label_values
from ml_monitoring.dashboards.pages.common import chosen, firing_alerts, judged, verdict

# As the alert on a GPU that is held and not used.
_UNUSED = (("<", 0.05, "info"),)
_UP = ("down", "up")
# Small tiles have room for few words.
_SHORT = "no data from Prometheus"
_NONE = "no GPUs, or no data from Prometheus"
_NOT_EXPOSED = "no such counters (see docs/gpus.md), or no data from Prometheus"
# Alerts of what is chosen above.
_CHOSEN = chosen(Hostname="Hostname")


def build(context: PageContext) -> Page:
    """Return the page."""
    return Page(
        uid=PAGE,
        title="GPUs",
        description="For those who own GPUs: are they used, cool and free of errors?",
        folder="Platform",
        tags=("infrastructure",),
        variables=(datasource(), label_values("Hostname", "DCGM_FI_DEV_GPU_UTIL", title="Machine", may_be_empty=True)),
        rows=(
            verdict(
                context,
                "Are the GPUs used, cool and free of errors?",
                stat(
                    Query(GPU_EXPORTERS_UP, limits=(("<", 1, "warning"),)),
                    states=_UP,
                    title="Exporters",
                    width=3,
                    empty=_SHORT,
                ),
                stat(GPU_COUNT, width=3, empty=_SHORT),
                stat(Query(GPU_MEAN, limits=_UNUSED), width=3, empty=_SHORT),
                stat(Query(GPU_HOTTEST, limits=judged(context, GPU_TEMPERATURE)), width=3, empty=_SHORT),
                stat(Query(GPU_FAULTY, limits=((">", 0, "warning"),)), empty=_NONE),
                page=PAGE,
                only=_CHOSEN,
            ),
            Row(
                "Each GPU",
                (
                    _gpus(),
                    firing_alerts(context, PAGE, only=_CHOSEN, height=7),
                    timeseries(GPU_UTILIZATION, height=7, empty=_NONE),
                    timeseries(GPU_TEMPERATURE, width=8, height=7, empty=_NONE),
                    timeseries(GPU_IDLE, width=8, height=7, empty="no held GPUs, or no data from Prometheus"),
                    timeseries(GPU_MEMORY_ERRORS, width=8, height=7, empty=_NOT_EXPOSED),
                    timeseries(GPU_XID, stepped=True, height=7, empty=_NONE),
                    timeseries(GPU_THROTTLED, stepped=True, height=7, empty=_NOT_EXPOSED),
                ),
            ),
            Row(
                "Memory and power",
                (
                    timeseries(GPU_MEMORY, empty=_NONE),
                    timeseries(GPU_POWER, empty=_NONE),
                    timeseries(GPU_CAPPED, stepped=True, width=24, empty=_NOT_EXPOSED),
                ),
                collapsed=True,
            ),
            Row(
                "Machines and MLflow runs",
                (
                    table(
                        (Column("Hostname", "Machine"),),
                        Query(MACHINE_GPUS, name="GPUs"),
                        Query(MACHINE_UTILIZATION, name="Utilization"),
                        Query(MACHINE_RUNS, name="As runs log it"),
                        title="Machines now",
                        sort_by="Utilization",
                        width=12,
                        empty=_NONE,
                    ),
                    timeseries(
                        MACHINE_UTILIZATION,
                        Query(MACHINE_RUNS, name="runs on {{Hostname}}", dashed=True),
                        title="By machine (runs: dashed)",
                        empty=_NONE,
                    ),
                    state_timeline(GPU_EXPORTER_UP, states=_UP, height=4, empty=_NONE),
                ),
                collapsed=True,
            ),
        ),
    )


def _gpus() -> Panel:
    return table(
        (Column("Hostname", "Machine"), Column("gpu", "GPU"), Column("modelName", "Model")),
        Query(GPU_UTILIZATION, name="Utilization"),
        # Held memory is no fault: servers of language models take nearly all that there is.
        Query(GPU_MEMORY, name="Memory"),
        Query(GPU_TEMPERATURE, name="°C"),
        Query(GPU_POWER, name="W", decimals=0),
        Query(GPU_XID, name="Xid (1h)"),
        Query(GPU_MEMORY_ERRORS, name="Memory errors"),
        title="GPUs now",
        sort_by="°C",
        descending=True,
        height=7,
        empty=_NONE,
    )
