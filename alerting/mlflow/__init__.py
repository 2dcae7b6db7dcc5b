"""MLflow: experiments and runs, models, traces."""
