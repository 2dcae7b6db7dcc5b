"""Demo data and demo services, for trying the stack out; no part of what is installed."""
