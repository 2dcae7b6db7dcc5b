"""Whether the image of PostgreSQL can read the data that is there: a major version never reads another one's."""

from __future__ import annotations

import re

from tools.deploy.engine import DeployError, Stack, has_image, run, run_in_image
from tools.deploy.result import Result

_VOLUME = "postgres-data"
# From 18 on, the image keeps its data in another place of its file system, which no volume is on here.
_FIRST_ELSEWHERE = 18
# Only root and PostgreSQL itself may look into the folder of data.
_POWERS = ("DAC_OVERRIDE",)


def check(stack: Stack) -> Result:
    """Compare the data with the image, without pulling anything; what cannot be told is left to PostgreSQL."""
    image = stack.image("postgres")
    there = has_image(image)
    new = _program(image) if there else version_of_tag(image)
    old = _data(stack, image if there else stack.image("exporter"))
    return judge(old, new, image, stack.volume(_VOLUME))


def judge(old: int | None, new: int | None, image: str, volume: str) -> Result:
    """Return the verdict on a major version of the data and one of the image; None is one that is not known."""
    if new is not None and new >= _FIRST_ELSEWHERE:
        return Result(
            "postgres", False, f"{image} keeps its data elsewhere; this release works with 13 to {_FIRST_ELSEWHERE - 1}"
        )
    if old is None:
        return Result("postgres", True, f"{image}; no data of an earlier deployment was found")
    if new is None or old == new:
        return Result("postgres", True, f"{image}, with data of PostgreSQL {old}")
    return Result(
        "postgres",
        False,
        f"the data is of PostgreSQL {old}, and {image} is {new}, which cannot read it. To upgrade:\n"
        f"1. POSTGRES_IMAGE=postgres:{old} in docker/.env, make deploy, make backup, make down\n"
        f"2. docker volume rm {volume}\n"
        "3. take that line out of docker/.env again, make restore FROM=docker/backups/<time>",
    )


def version_of_tag(image: str) -> int | None:
    """Return the major version that the name of an image tells."""
    match = re.search(r":v?(\d+)(?=[.@-]|$)[^/]*$", image)
    return int(match[1]) if match else None


def _program(image: str) -> int | None:
    try:
        printed = run(["docker", "run", "--rm", "--network=none", "--entrypoint=postgres", image, "--version"])
    except DeployError:
        return None
    match = re.search(r"PostgreSQL\) (\d+)", printed)
    return int(match[1]) if match else None


def _data(stack: Stack, image: str) -> int | None:
    if _VOLUME not in stack.volumes() or not has_image(image):
        return None
    script = "cat /data/PG_VERSION"
    try:
        return int(run(run_in_image(image, script, volume=stack.volume(_VOLUME), powers=_POWERS)))
    except (DeployError, ValueError):
        return None
