"""The certificates of the overlay `tls`: for how long they are good, and whether the exporter shows the new one."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import time
from pathlib import Path

from tools.deploy.engine import DeployError, Stack
from tools.deploy.result import Result

_DAY = 86400.0
# As in make-certificates.sh, which renews from then on.
RENEWED = 30 * _DAY
_FILES = {"authority": "ca_certificate", "certificate": "exporter_certificate"}
_RENEW = "renew with make deploy, or docker/make-certificates.sh from cron"
# Runs in the exporter's container and looks at its own port as Prometheus does; an authority has signed itself.
_LOOK = """
import json, socket, ssl, sys
trust = ssl.create_default_context(cafile="/run/secrets/ca_certificate")
try:
    with socket.create_connection(("127.0.0.1", 9847), timeout=10) as plain:
        with trust.wrap_socket(plain, server_hostname="exporter") as shown:
            seen = shown.getpeercert()
except OSError as error:
    sys.exit(str(error))
ends = {"authority": trust.get_ca_certs()[0]["notAfter"], "certificate": seen["notAfter"]}
print(json.dumps({"ends": ends, "serial": seen["serialNumber"]}))
"""


def check_files(secrets: Path) -> Result:
    """Look at the files before a deployment, which makes or renews what ends soon."""
    if shutil.which("openssl") is None:
        return Result("certificates", False, "openssl is not installed, which makes them (package openssl)")
    try:
        ends = {name: _end_of(secrets / file) for name, file in _FILES.items()}
    except DeployError as error:
        return Result("certificates", True, f"to be made: {error}")
    soon = [name for name, end in ends.items() if end - time.time() < RENEWED]
    return Result("certificates", True, f"{_left(ends)}{'; renewed now: ' + ', '.join(soon) if soon else ''}")


def check_shown(stack: Stack) -> str:
    """Look at what the exporter shows to clients.

    Raises:
        DeployError: It is not what Prometheus trusts, has ended, or is another one than that of the files.
    """
    printed = stack.compose("exec", "--no-TTY", "exporter", "/opt/venv/bin/python", "-c", _LOOK)
    seen = json.loads(printed)
    serial = _openssl("-serial", stack.secrets / _FILES["certificate"]).partition("=")[2]
    if int(serial, 16) != int(seen["serial"], 16):
        raise DeployError("the exporter still shows its old certificate; see: docker logs of the exporter")
    return printed


def judge(printed: str, now: float) -> Result:
    """Return the verdict on what was seen."""
    ends = {name: float(ssl.cert_time_to_seconds(end)) for name, end in json.loads(printed)["ends"].items()}
    soon = min(ends.values()) - now < RENEWED
    return Result("certificates", True, f"{_left(ends, now)}{'; ' + _RENEW if soon else ''}", warning=soon)


def _left(ends: dict[str, float], now: float | None = None) -> str:
    now = time.time() if now is None else now
    return ", ".join(f"{name} good for {(end - now) / _DAY:.0f} days" for name, end in ends.items())


def _end_of(path: Path) -> float:
    if not path.is_file():
        raise DeployError(f"there is no {path.name} yet")
    return float(ssl.cert_time_to_seconds(_openssl("-enddate", path).partition("=")[2]))


def _openssl(what: str, path: Path) -> str:
    command = ["openssl", "x509", "-noout", what, "-in", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DeployError(f"{path.name} is no certificate")
    return done.stdout.strip()
