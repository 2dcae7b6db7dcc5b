"""A/B experiments and their business impact."""
