"""The application with starlette-exporter, as its documentation says."""

from application import app, run
from starlette_exporter import PrometheusMiddleware, handle_metrics

app.add_middleware(PrometheusMiddleware, app_name="ranker", group_paths=True)
app.add_route("/metrics/", handle_metrics)
run()
