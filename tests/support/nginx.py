"""A real nginx, and a real proxy for HTTP, on free ports of 127.0.0.1."""

from __future__ import annotations

from pathlib import Path

from tools.packages import ensure_programs
from tools.processes import Process, free_port, port_is_free

_MAIN = """
daemon off;
# Workers would be of a user that may not read the folders of tests.
master_process off;
pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
_PROXY = """
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 20
LogLevel Connect
BasicAuth {user} {password}
"""


class Nginx(Process):
    """An nginx with what a file of `conf.d` says.

    Args:
        site: The file's content, which listens on `port`.
        folder: Where its files go.
        port: Of 127.0.0.1.
    """

    def __init__(self, site: str, folder: Path, port: int) -> None:
        (folder / "site.conf").write_text(site, encoding="utf-8")
        config = folder / "nginx.conf"
        config.write_text(_MAIN.format(folder=folder), encoding="utf-8")
        super().__init__(
            "nginx",
            [ensure_programs(["nginx"])["nginx"], "-p", folder, "-e", "stderr", "-c", config],
            log=folder / "nginx.log",
            cwd=folder,
            healthy=lambda: not port_is_free(port),
        )


class Tinyproxy(Process):
    """A proxy that asks for a user and a password.

    Args:
        folder: Where its files go.
        user: The user.
        password: The password.

    Attributes:
        port: Of 127.0.0.1.
    """

    def __init__(self, folder: Path, user: str, password: str) -> None:
        self.port = free_port()
        config = folder / "tinyproxy.conf"
        config.write_text(_PROXY.format(port=self.port, user=user, password=password), encoding="utf-8")
        super().__init__(
            "tinyproxy",
            [ensure_programs(["tinyproxy"])["tinyproxy"], "-d", "-c", config],
            log=folder / "tinyproxy.log",
            cwd=folder,
            healthy=lambda: not port_is_free(self.port),
        )
