from __future__ import annotations

import socket

import pytest

from ml_monitoring.dashboards.cli import main


def test_a_port_that_is_taken_is_named_and_no_address_is_promised(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert main(["serve", "--prometheus", "http://127.0.0.1:9", "--listen", address]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"error: --listen: cannot listen on {address}: Address already in use\n"
