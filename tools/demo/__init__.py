"""The demo: the whole stack on demo data, without Docker or root, on loopback only.

`python -m tools.demo` (`make demo`) runs it. What it shows is put together of parts, see `tools.demo.parts`.
"""
