"""The image that the page of Kubernetes builds without a checkout is the checkout's, seen from outside."""

from __future__ import annotations

import re
from pathlib import Path

# What a pod, its security context and `helm test` rely on.
INSTRUCTIONS = ("ENTRYPOINT", "CMD", "USER")


def instructions(dockerfile: str) -> dict[str, str]:
    last = dockerfile.rpartition("\nFROM ")[2]
    found = re.findall(rf"^({'|'.join(INSTRUCTIONS)}) (.*)$", last, re.MULTILINE)
    return dict(found)


def test_the_image_of_the_page_is_run_as_that_of_a_checkout() -> None:
    ours = Path("docker/exporter.Dockerfile").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```dockerfile\n(.*?)^```$", Path("docs/kubernetes.md").read_text("utf-8"), re.M | re.S)
    assert instructions(f"\n{shown}") == instructions(ours)
    assert instructions(ours).keys() == set(INSTRUCTIONS)
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(.*)$", ours, re.MULTILINE)
    assert shown.startswith(f"FROM {base}\n")
    program = instructions(ours)["ENTRYPOINT"].strip('[]"')
    assert f"python3 -m venv {Path(program).parents[1]} " in shown
