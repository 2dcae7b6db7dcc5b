"""ML services: traffic, latency, errors, model quality, objectives."""
