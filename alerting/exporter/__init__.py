"""The exporter itself."""
