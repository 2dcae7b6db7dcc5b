"""A read-only live viewer: dashboards in a browser, drawn from Prometheus by the renderer, without Grafana.

`library` finds the dashboards, `panels` answers what a page shows now, `pages` is the HTML around it, and `server`
hands all of it out.
"""
