"""What Prometheus and Alertmanager read, made from the domains."""
