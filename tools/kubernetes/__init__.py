"""Manifests for Kubernetes, made from what the stack is made of: see `python -m tools.kubernetes generate --help`."""
