"""The list of all targets."""

from __future__ import annotations

from tests.fuzz.file_targets import CSV_FILE, CSV_ROWS, PARQUET_FILE
from tests.fuzz.http_targets import NOTIFICATION, REQUEST_HEAD
from tests.fuzz.settings_targets import SETTINGS, THRESHOLDS, URI, WEB_CONFIG

TARGETS = (REQUEST_HEAD, NOTIFICATION, CSV_ROWS, CSV_FILE, PARQUET_FILE, URI, SETTINGS, WEB_CONFIG, THRESHOLDS)
