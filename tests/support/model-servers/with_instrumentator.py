"""The application with prometheus-fastapi-instrumentator, as its documentation says."""

from application import app, run
from prometheus_fastapi_instrumentator import Instrumentator

Instrumentator(should_instrument_requests_inprogress=True).instrument(app).expose(app)
run()
