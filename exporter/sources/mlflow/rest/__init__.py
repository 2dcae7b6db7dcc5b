"""Reads a tracking server over MLflow's REST API into tables like those of a store."""
