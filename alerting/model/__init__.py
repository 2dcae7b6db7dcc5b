"""What a signal, a recording rule, an alert and its numbers are; knows nothing of the domains."""
