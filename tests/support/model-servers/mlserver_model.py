"""Writes a scikit-learn model and MLServer's settings for it: `python mlserver_model.py FOLDER HTTP GRPC METRICS`."""

import json
import sys
from pathlib import Path

import joblib
from sklearn.linear_model import LogisticRegression

folder, ports = Path(sys.argv[1]), [int(port) for port in sys.argv[2:]]
model = LogisticRegression().fit([[0.0, 0.0], [1.0, 1.0], [0.0, 0.2], [0.9, 0.8]], [0, 1, 0, 1])
(folder / "iris").mkdir()
joblib.dump(model, folder / "iris" / "model.joblib")
parameters = {"uri": "./model.joblib", "version": "v1"}
described = {"name": "iris", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": parameters}
(folder / "iris" / "model-settings.json").write_text(json.dumps(described))
settings = dict(zip(("http_port", "grpc_port", "metrics_port"), ports, strict=True))
(folder / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 0, **settings}))
