"""The overview of operations: signals across all domains."""
