"""Change each rule in small ways and see whether its unit tests notice: one that passes regardless tests nothing.

`python -m tools.mutants [RULE ...]` (`make mutants`) prints the changes that no test noticed. Those of
`tools.mutants.explained` change nothing that could be seen; each says why.
"""
