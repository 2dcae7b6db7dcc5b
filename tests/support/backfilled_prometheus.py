"""A real Prometheus that holds samples of the past."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.processes import Process, free_port, http_ok


@contextmanager
def backfilled_prometheus(
    programs: Mapping[str, Path], folder: Path, lines: Iterable[str], *, config: str = "{}", flags: Iterable[str] = ()
) -> Iterator[str]:
    """Run Prometheus on backfilled samples and give its address.

    Args:
        programs: Has `prometheus` and `promtool`.
        folder: For its data, configuration and log.
        lines: OpenMetrics with a time in each line, without the end mark.
        config: Its configuration.
        flags: Further flags.
    """
    text, data, settings = folder / "backfill.om", folder / "data", folder / "prometheus.yml"
    text.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    create: list[str | Path] = [programs["promtool"], "tsdb", "create-blocks-from", "openmetrics", text, data]
    subprocess.run(create, check=True, capture_output=True)
    settings.write_text(config, encoding="utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    process = Process(
        "prometheus",
        [
            programs["prometheus"],
            f"--config.file={settings}",
            f"--storage.tsdb.path={data}",
            # The samples are older than what Prometheus keeps by default.
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={url.removeprefix('http://')}",
            *flags,
        ],
        log=folder / "prometheus.log",
        healthy=lambda: http_ok(f"{url}/-/ready"),
    )
    with process:
        yield url
