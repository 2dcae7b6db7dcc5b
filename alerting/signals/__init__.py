"""Signals: every panel and every alert is made from one of these, so that a colour and an alert cannot disagree.

To add a signal, add one entry to the module of its topic. To add a topic, add a module with a tuple and list it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from alerting.signals.ab_testing import AB_TESTING_SIGNALS
from alerting.signals.base import Signal
from alerting.signals.business import BUSINESS_SIGNALS
from alerting.signals.containers import CONTAINER_SIGNALS
from alerting.signals.database import DATABASE_SIGNALS
from alerting.signals.exporter import EXPORTER_SIGNALS
from alerting.signals.fleet import FLEET_SIGNALS
from alerting.signals.host import HOST_SIGNALS
from alerting.signals.logs import LOG_SIGNALS
from alerting.signals.ml_api import ML_API_SIGNALS
from alerting.signals.mlflow import MLFLOW_SIGNALS
from alerting.signals.mlflow_models import MLFLOW_MODEL_SIGNALS
from alerting.signals.mlflow_traces import MLFLOW_TRACE_SIGNALS
from alerting.signals.model_quality import MODEL_QUALITY_SIGNALS
from alerting.signals.monitoring import MONITORING_SIGNALS
from alerting.signals.overview import OVERVIEW_SIGNALS
from alerting.signals.variant_each import EACH_VARIANT_SIGNALS
from alerting.signals.variants import VARIANT_SIGNALS

__all__ = ["BY_NAME", "SIGNALS", "Signal"]

SIGNALS: tuple[Signal, ...] = (
    *EXPORTER_SIGNALS,
    *MLFLOW_SIGNALS,
    *MLFLOW_MODEL_SIGNALS,
    *MLFLOW_TRACE_SIGNALS,
    *VARIANT_SIGNALS,
    *EACH_VARIANT_SIGNALS,
    *FLEET_SIGNALS,
    *AB_TESTING_SIGNALS,
    *BUSINESS_SIGNALS,
    *ML_API_SIGNALS,
    *MODEL_QUALITY_SIGNALS,
    *HOST_SIGNALS,
    *CONTAINER_SIGNALS,
    *DATABASE_SIGNALS,
    *MONITORING_SIGNALS,
    *LOG_SIGNALS,
    *OVERVIEW_SIGNALS,
)

BY_NAME: Mapping[str, Signal] = MappingProxyType({signal.name: signal for signal in SIGNALS})

if len(BY_NAME) != len(SIGNALS):
    raise ValueError("two signals share a name: " + ", ".join(sorted(signal.name for signal in SIGNALS)))
