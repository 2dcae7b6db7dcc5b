"""MLServer, alone and under KServe and Seldon Core 2, as seen with 1.7.1.

Its model metrics have a version only where the request names one. With parallel workers it needs a folder for their
metrics (`metrics_dir`), and the counters of all workers come from there.
"""

from __future__ import annotations

from typing import Final

from ml_monitoring.alerting.services.adapter import Adapter, ServerMetric, TakenFrom

_REST: Final = {"service": TakenFrom("app_name"), "route": TakenFrom("path"), "status": TakenFrom("status_code")}
_MODEL: Final = {"model_version": TakenFrom("version", "(?:None)?|(.*)")}

ADAPTER: Final = Adapter(
    server="mlserver",
    title="MLServer",
    signature=("model_infer_request_success_total", "rest_server_requests_total"),
    requests=(ServerMetric(("rest_server_requests_total",), _REST),),
    durations=(ServerMetric(("rest_server_request_duration_seconds",), _REST),),
    in_progress=(ServerMetric(("rest_server_requests_in_progress",), _REST),),
    predictions=(ServerMetric(("model_infer_request_success_total",), _MODEL),),
    prediction_errors=(ServerMetric(("model_infer_request_failure_total",), _MODEL),),
    prediction_durations=(ServerMetric(("model_infer_request_duration",), _MODEL, buckets=False),),
    born="500",
    variants_of_models=True,
)
