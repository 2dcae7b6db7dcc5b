"""Made-up input for everything that takes input from outside.

A target is a strategy that makes input, and a check that says what must hold. `test_targets.py` tries the inputs of
`corpus/` and a few made-up ones for each, in seconds; `python -m tests.fuzz` (`make fuzz`) goes on for an hour and
adds what breaks something to `corpus/`.
"""
