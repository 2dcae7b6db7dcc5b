"""Certificates of the overlay `tls` that end when a test wants it."""

import subprocess
from pathlib import Path

from tests.support.files import DOCKER


def make_certificates(secrets: Path) -> str:
    """Run what a deployment runs; return what it says."""
    command = [DOCKER / "make-certificates.sh", secrets]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def replace_certificate(secrets: Path, *, days: int) -> None:
    """Put a certificate of the same key in the exporter's place that ends in so many days."""
    make_certificates(secrets)
    path = secrets / "exporter_certificate"
    # A request of the same names and extensions as the certificate that is there.
    copy = "-copy_extensions=copy"
    turn = ["openssl", "x509", "-x509toreq", copy, "-in", f"{path}", "-signkey", f"{secrets}/exporter_key"]
    request = subprocess.run(turn, check=True, capture_output=True).stdout
    authority = ["-CA", f"{secrets}/ca_certificate", "-CAkey", f"{secrets}/ca_key"]
    sign = ["openssl", "x509", "-req", copy, *authority, "-days", str(days)]
    signed = subprocess.run(sign, input=request, check=True, capture_output=True).stdout
    path.chmod(0o644)
    # Into the same file, as containers have it mounted.
    path.write_bytes(signed)
    path.chmod(0o444)
