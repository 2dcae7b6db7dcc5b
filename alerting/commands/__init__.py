"""What can be done with the alerts: one module a command, each with HELP, `add_arguments` and `run`."""
