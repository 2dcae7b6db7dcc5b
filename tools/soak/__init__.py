"""Run the parts of the stack for hours while faults happen at random, and compare what they say with their stores.

`python -m tools.soak` (`make soak HOURS=n`) starts two exporters, the alert log, PostgreSQL, an SQLite store and a
fleet file, writes to all of them each second, and breaks one thing after the other. A checker reads the stores by SQL
and a file reader of its own; a report says what was wrong. To add a fault, add it to `tools.soak.faults`.
"""
