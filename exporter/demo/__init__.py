"""Demo data and the demo inference service."""
