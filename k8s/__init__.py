"""Kubernetes: the Helm chart and the manifests, and what makes them of rules, routes and pages."""
