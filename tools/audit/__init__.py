"""Check what the project takes from others: known vulnerabilities, licences, and a bill of materials.

`make audit`. The programs that it runs are pinned in `requirements-audit.txt` and live in `.tools/audit`.
"""
