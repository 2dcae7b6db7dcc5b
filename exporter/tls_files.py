"""Files of certificates and keys that a client shows or trusts: which of them is wrong, and why."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Final

from ml_monitoring.exporter.regular_files import open_regular

_CERTIFICATE: Final = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----")
_KEY: Final = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_ENCRYPTED: Final = (b"ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")


def require_pem(path: Path, *, is_key: bool = False) -> None:
    """Refuse a file that holds no certificate, or no key.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds something else.
    """
    with open_regular(path) as file:
        content = file.read()
    if not (_KEY if is_key else _CERTIFICATE).search(content):
        raise ValueError(f"{path} holds no {'private key' if is_key else 'certificate'} in PEM")
    if is_key and any(sign in content for sign in _ENCRYPTED):
        raise ValueError(f"{path} holds a key that is encrypted: write one without a password")


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Load what a client shows.

    Raises:
        OSError: A file cannot be read.
        ValueError: The files hold no certificate with its key.
    """
    try:
        # An encrypted key would otherwise be asked for on a terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"{key or certificate} holds the key of another certificate") from None
        what = f"{key} holds no key that can be read" if key else f"{certificate} holds no key: name it in key_file"
        raise ValueError(what) from None
