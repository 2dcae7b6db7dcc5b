"""The house layer around grafanalib, and its only user; see each module's first line for what it holds."""
