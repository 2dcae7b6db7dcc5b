"""Signals of the page `gpus`: are they used, cool and free of errors? Series are those of NVIDIA's DCGM exporter."""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.model.signal import Signal
from ml_monitoring.exporter.catalog import Unit

PAGE: Final = "ml-monitoring-gpus"
# Which GPU it is, whatever else a series has: parts of it (MIG), the driver, the container that holds it.
_GPU: Final = ("job", "Hostname", "gpu", "UUID", "modelName")
_BY: Final = ", ".join(("cluster", "namespace", *_GPU))
_LEGEND: Final = "{{Hostname}} {{gpu}}"
# What a GPU does not know has this value in older releases of the exporter, or one of the next fifteen.
_KNOWN: Final = "< 9e18"
# Errors that an application makes, not the GPU: 13 an exception of a kernel, 31 a wrong address, 43 and 45 its end.
_OF_APPLICATIONS: Final = (13, 31, 43, 45)


def _raw(metric: str) -> str:
    return f"{metric}{{<gpus>,<filter>}}"


def _of(metric: str, function: str = "") -> str:
    """Return a metric by GPU, or what a function makes of it in a window; the highest of a GPU's parts."""
    found = f"{function}({_raw(metric)}[<window>])" if function else f"{_raw(metric)} {_KNOWN}"
    return f"max by ({_BY}) ({found})"


def _risen(metric: str) -> str:
    """Return how much a metric is above its lowest value within an hour; a reset of the driver is no rise."""
    return f"max by ({_BY}) ({_raw(metric)} - min_over_time({_raw(metric)}[1h]))"


def _shown(
    name: str, title: str, question: str, expr: str, unit: Unit, *, by: tuple[str, ...] = (), legend: str = ""
) -> Signal:
    return Signal(name, title, question, expr, unit, PAGE, by=by, filters=("Hostname",), legend=legend)


def _gpu(name: str, title: str, question: str, expr: str, unit: Unit, *, by: tuple[str, ...] = ()) -> Signal:
    legend = " ".join((_LEGEND, *(f"{{{{{label}}}}}" for label in by)))
    return _shown(name, title, question, expr, unit, by=(*_GPU, *by), legend=legend)


def _either(label: str, exprs: dict[str, str]) -> str:
    """Return several expressions side by side, told apart by a label."""
    return " or ".join(f'label_replace({expr}, "{label}", "{value}", "", "")' for value, expr in exprs.items())


_USED, _FREE = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"
_MEMORY: Final = f"max by ({_BY}) ({_raw(_USED)} / (({_raw(_USED)} {_KNOWN}) + ({_raw(_FREE)} {_KNOWN}) > 0))"

GPU_UTILIZATION: Final = _gpu(
    "gpu_utilization",
    "GPU utilization",
    "How much of the time does each GPU compute?",
    f"{_of('DCGM_FI_DEV_GPU_UTIL')} / 100",
    Unit.RATIO,
)

GPU_MEMORY: Final = _gpu(
    "gpu_memory",
    "GPU memory",
    "How full is the memory of each GPU?",
    _MEMORY,
    Unit.RATIO,
)

GPU_TEMPERATURE: Final = _gpu(
    "gpu_temperature",
    "Temperature (°C)",
    "How hot is each GPU? Most slow down at about 90 °C.",
    _of("DCGM_FI_DEV_GPU_TEMP"),
    Unit.ANY,
)

GPU_POWER: Final = _gpu(
    "gpu_power",
    "Power (W)",
    "How much power does each GPU draw?",
    _of("DCGM_FI_DEV_POWER_USAGE"),
    Unit.ANY,
)


def _throttled(*reasons: str) -> str:
    # Releases count in microseconds or in nanoseconds: whether the counter moves is the same in both.
    exprs = {reason.lower(): _of(f"DCGM_FI_DEV_{reason}_VIOLATION", "rate") for reason in reasons}
    return f"({_either('reason', exprs)}) > bool 0"


GPU_THROTTLED: Final = _gpu(
    "gpu_throttled",
    "Throttled",
    "Is a GPU slowed down because it is hot or not reliable?",
    _throttled("THERMAL", "RELIABILITY"),
    Unit.FLAG,
    by=("reason",),
)

GPU_CAPPED: Final = _gpu(
    "gpu_capped",
    "At its limit",
    "Is a GPU at its limit of power or of its board? Those that have enough to do usually are.",
    _throttled("POWER", "BOARD_LIMIT"),
    Unit.FLAG,
    by=("reason",),
)

GPU_XID: Final = _gpu(
    "gpu_xid",
    "Xid errors (1h)",
    "Which error of the hardware or driver did each GPU report within an hour, by NVIDIA's number?",
    # The last error stays for as long as there is no other.
    f"max by ({_BY}) (("
    + " ".join((f"{_raw('DCGM_FI_DEV_XID_ERRORS')} {_KNOWN} > 0", *(f"!= {xid}" for xid in _OF_APPLICATIONS)))
    + f") unless {_raw('DCGM_FI_DEV_XID_ERRORS')} == {_raw('DCGM_FI_DEV_XID_ERRORS')} offset 1h)"
    + f" or 0 * {_of('DCGM_FI_DEV_XID_ERRORS')}",
    Unit.COUNT,
)

GPU_MEMORY_ERRORS: Final = _gpu(
    "gpu_memory_errors",
    "Uncorrectable memory errors (1h)",
    "Did memory of a GPU lose data, or has it no spare rows left?",
    f"sum by ({_BY}) ("
    + _either(
        "kind",
        {
            "ecc": _risen("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL"),
            "rows": _risen("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS"),
            "failed": _of("DCGM_FI_DEV_ROW_REMAP_FAILURE"),
        },
    )
    + ")",
    Unit.COUNT,
)

GPU_IDLE: Final = _gpu(
    "gpu_idle",
    "Highest utilization of held GPUs (1h)",
    "Does somebody hold a GPU, by its memory, and not use it?",
    f"max by ({_BY}) (max_over_time({_raw('DCGM_FI_DEV_GPU_UTIL')}[1h]) {_KNOWN}) / 100 and {_MEMORY} > 0.1",
    Unit.RATIO,
)

GPU_EXPORTER_UP: Final = Signal(
    name="gpu_exporter_up",
    title="DCGM exporters",
    question="Does each DCGM exporter answer scrapes? Of one that does not, no GPU is known.",
    expr="up{<gpus>,<filter>}",
    unit=Unit.FLAG,
    dashboard=PAGE,
    by=("job", "instance"),
    legend="{{instance}}",
)

GPU_EXPORTERS_UP: Final = Signal(
    name="gpu_exporters_up",
    title="DCGM exporters",
    question="Do all DCGM exporters answer scrapes? Of several the worst decides.",
    expr="min by (cluster, namespace) (up{<gpus>,<filter>})",
    unit=Unit.FLAG,
    dashboard=PAGE,
    legend="exporters",
)

GPU_COUNT: Final = _shown(
    "gpu_count",
    "GPUs",
    "How many GPUs are there?",
    f"count by (cluster) ({_of('DCGM_FI_DEV_GPU_UTIL')})",
    Unit.COUNT,
    legend="GPUs",
)

GPU_MEAN: Final = _shown(
    "gpu_mean_utilization",
    "Mean utilization",
    "How much of what there is in GPUs is used?",
    f"avg by (cluster) ({_of('DCGM_FI_DEV_GPU_UTIL')}) / 100",
    Unit.RATIO,
    legend="mean",
)

GPU_HOTTEST: Final = _shown(
    "gpu_hottest",
    "Hottest (°C)",
    "How hot is the hottest GPU?",
    f"max by (cluster) ({_of('DCGM_FI_DEV_GPU_TEMP')})",
    Unit.ANY,
    legend="hottest",
)

GPU_FAULTY: Final = _shown(
    "gpu_faulty",
    "With errors (1h)",
    "How many GPUs reported an error of the hardware or driver, or lost data, within an hour?",
    f"count by (cluster) (({GPU_XID.expr}) > 0 or ({GPU_MEMORY_ERRORS.expr}) > 0)"
    f" or 0 * count by (cluster) ({_of('DCGM_FI_DEV_GPU_UTIL')})",
    Unit.COUNT,
    legend="with errors",
)

MACHINE_GPUS: Final = _shown(
    "machine_gpus",
    "GPUs by machine",
    "How many GPUs has each machine?",
    f"count by (cluster, Hostname) ({_of('DCGM_FI_DEV_GPU_UTIL')})",
    Unit.COUNT,
    by=("Hostname",),
)

MACHINE_UTILIZATION: Final = _shown(
    "machine_gpu_utilization",
    "GPU utilization by machine",
    "How much of its GPUs does each machine use?",
    f"avg by (cluster, Hostname) ({_of('DCGM_FI_DEV_GPU_UTIL')}) / 100",
    Unit.RATIO,
    by=("Hostname",),
)

MACHINE_RUNS: Final = _shown(
    "machine_gpu_runs",
    "GPU utilization as MLflow runs log it",
    "How much do runs under way say that they use the GPUs of a machine? None where no run names it.",
    (
        'max by (cluster, Hostname) (label_join(mlflow_training_node_utilization_ratio{resource="gpu",<place>}, '
        f'"Hostname", "", "node")) and on (cluster, Hostname) {_of("DCGM_FI_DEV_GPU_UTIL")}'
    ),
    Unit.RATIO,
    by=("Hostname",),
)
