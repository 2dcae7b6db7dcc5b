"""Manifests for kustomize, made from what the stack is made of: see `ml-monitoring kubernetes manifests --help`."""
