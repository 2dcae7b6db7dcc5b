"""Deploy the stack in Docker: try what it needs, build, generate, start, verify; stop, back up, restore.

`python3 -m tools.deploy --help`. Standard library only, since a server that runs containers needs nothing else.
"""
