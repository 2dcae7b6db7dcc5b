"""Break one thing at a time in a running stack, and record who is notified: by whom, how, how soon, and nobody else.

`python -m tools.faults [FAULT ...]` (`make faults`) starts the exporter, Prometheus, Alertmanager, PostgreSQL and the
exporters beside them, an SMTP server and a webhook receiver, all real, on loopback. To add a fault, add it to
`tools.faults.catalogue`.
"""
