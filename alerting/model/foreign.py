"""What panels, rules and alerts may use although this project does not export it, and the other way round.

To use a metric of another program, add it to `FOREIGN` with the labels that it has beside `job` and `instance`. To
export a metric that nothing shows, add it to `UNUSED` and say why it exists; with the first page or rule of a domain
take the domain out of `UNUSED_ORIGINS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# What a source exposes that the exporter's settings give a name has this one, and what is recorded of it.
STORE_LABEL = "store"
# What a model server calls the service, of which a job may have several.
SERVICE_LABEL = "service"
# Every scraped series has these; a rule may aggregate them away.
# `cluster` and `namespace` where Prometheus watches several.
TARGET_LABELS: frozenset[str] = frozenset({"cluster", "namespace", "job", "instance", STORE_LABEL, SERVICE_LABEL})
# Those of them that say where a target runs; each page has a variable of each.
PLACE_LABELS: tuple[str, ...] = ("cluster", "namespace")

_SESSION = frozenset(
    {"state", "usename", "application_name", "backend_type", "wait_event_type", "wait_event", "server"}
)
_OF_ALERTS = frozenset(
    {"alertname", "severity", "team", "source", "mountpoint"}
    | {
        "server",
        "profile",
        "file",
        "experiment",
        "persona",
        "variant",
        "pattern",
        "model",
        "model_version",
        "Hostname",
        "origin",
    }
)

FOREIGN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        # Prometheus, of its own rules and of each target that it scrapes.
        "ALERTS": _OF_ALERTS | {"alertstate"},
        "ALERTS_FOR_STATE": _OF_ALERTS,
        "scrape_duration_seconds": frozenset(),
        "up": frozenset(),
        # Prometheus client libraries, of the process that they are in.
        "process_cpu_seconds_total": frozenset(),
        "process_resident_memory_bytes": frozenset(),
        # Prometheus, of itself.
        "prometheus_config_last_reload_successful": frozenset(),
        "prometheus_notifications_alertmanagers_discovered": frozenset(),
        "prometheus_notifications_errors_total": frozenset({"alertmanager"}),
        "prometheus_notifications_sent_total": frozenset({"alertmanager"}),
        "prometheus_rule_evaluation_failures_total": frozenset({"rule_group"}),
        "prometheus_tsdb_compactions_failed_total": frozenset(),
        "prometheus_tsdb_head_samples_appended_total": frozenset({"type"}),
        "prometheus_tsdb_head_series": frozenset(),
        "prometheus_tsdb_wal_truncations_failed_total": frozenset(),
        "prometheus_tsdb_wal_writes_failed_total": frozenset(),
        # Alertmanager, of itself.
        "alertmanager_alerts": frozenset({"state"}),
        "alertmanager_config_last_reload_successful": frozenset(),
        "alertmanager_notifications_failed_total": frozenset({"integration", "reason"}),
        "alertmanager_notifications_total": frozenset({"integration"}),
        "alertmanager_silences": frozenset({"state"}),
        # Loki and Alloy, of themselves.
        "alloy_component_controller_running_components": frozenset({"controller_id", "controller_path", "health_type"}),
        "loki_distributor_lines_received_total": frozenset({"format", "is_internal_stream", "policy", "tenant"}),
        "loki_write_dropped_entries_total": frozenset({"host", "reason", "tenant"}),
        "loki_write_sent_entries_total": frozenset({"host", "tenant"}),
        # node exporter.
        "node_boot_time_seconds": frozenset(),
        "node_cpu_seconds_total": frozenset({"cpu", "mode"}),
        "node_disk_read_bytes_total": frozenset({"device"}),
        "node_disk_written_bytes_total": frozenset({"device"}),
        "node_filesystem_avail_bytes": frozenset({"device", "fstype", "mountpoint"}),
        "node_filesystem_size_bytes": frozenset({"device", "fstype", "mountpoint"}),
        "node_load5": frozenset(),
        "node_memory_MemAvailable_bytes": frozenset(),
        "node_memory_MemTotal_bytes": frozenset(),
        "node_network_receive_bytes_total": frozenset({"device"}),
        "node_network_transmit_bytes_total": frozenset({"device"}),
        "node_time_seconds": frozenset(),
        # NVIDIA's DCGM exporter; of parts of GPUs (MIG) and in Kubernetes there are more labels.
        **dict.fromkeys(
            (
                "DCGM_FI_DEV_BOARD_LIMIT_VIOLATION",
                "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
                "DCGM_FI_DEV_FB_FREE",
                "DCGM_FI_DEV_FB_USED",
                "DCGM_FI_DEV_GPU_TEMP",
                "DCGM_FI_DEV_GPU_UTIL",
                "DCGM_FI_DEV_POWER_USAGE",
                "DCGM_FI_DEV_POWER_VIOLATION",
                "DCGM_FI_DEV_RELIABILITY_VIOLATION",
                "DCGM_FI_DEV_ROW_REMAP_FAILURE",
                "DCGM_FI_DEV_THERMAL_VIOLATION",
                "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
                "DCGM_FI_DEV_XID_ERRORS",
            ),
            frozenset({"gpu", "UUID", "device", "modelName", "Hostname", "pci_bus_id", "DCGM_FI_DRIVER_VERSION"}),
        ),
        # postgres exporter; older versions have fewer labels.
        "pg_database_size_bytes": frozenset({"datname", "server"}),
        "pg_settings_max_connections": frozenset({"server"}),
        "pg_stat_activity_count": _SESSION | {"datname"},
        "pg_stat_activity_max_tx_duration": _SESSION | {"datname"},
        "pg_stat_database_blks_hit": frozenset({"datid", "datname", "server"}),
        "pg_stat_database_blks_read": frozenset({"datid", "datname", "server"}),
        "pg_stat_database_deadlocks": frozenset({"datid", "datname", "server"}),
        "pg_stat_database_xact_commit": frozenset({"datid", "datname", "server"}),
        "pg_up": frozenset(),
    }
)

UNUSED: Mapping[str, str] = MappingProxyType(
    {
        "alert_log_write_errors_total": "for the runbook of AlertLogNotWritable, which fires on what it can do now",
        "alert_log_names_dropped_total": "0 unless somebody makes up names; says why a name has no totals",
        "alert_log_alerts_left_out_total": "0 but for groups of more than 2,000 alerts; says what the history misses",
        "alert_log_alerts": "how full the history is, for those who look for it; nobody acts on it",
        "ml_cache_entries": "nobody acts on it; how often a cache is hit is on the page ML API",
        "ml_cache_size_bytes": "as above",
        "ml_websocket_connections_total": "how connections ended, for those who use WebSockets; 0 for all others",
        "mlflow_store_rows": "for sizing the store; nobody acts on it",
        "variant_events_total": "events are shown one by one, as rows of the variant tables",
        "variant_expected_loss_ratio": "users of such pages do not understand it; the interval of the lift is shown",
        "ml_monitoring_experiment_expected_loss_ratio": "as above",
        "ab_test_cell_trials_total": "for experiments, which read counts by cell of users over Prometheus's API",
        "ab_test_cell_value_total": "as above",
        "ab_test_cell_value_squared_total": "as above",
        "ab_test_cell_first_exposures_total": "as above",
        "ml_http_request_size_bytes": "only of services that ask for it; for pages of their own",
        "ml_http_response_size_bytes": "only of services that ask for it; for pages of their own",
    }
)

# Domains (`Metric.origin`) of which nothing is shown yet.
UNUSED_ORIGINS: Mapping[str, str] = MappingProxyType({})
