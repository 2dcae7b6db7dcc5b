"""The collection of logs."""
