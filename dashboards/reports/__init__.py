"""Reports of dashboards for paper and mail."""
