"""The Helm chart, as far as it is made from what the stack is made of: see `ml-monitoring kubernetes chart --help`."""
