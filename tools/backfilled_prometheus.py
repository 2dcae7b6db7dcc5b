"""A real Prometheus that holds samples of the past."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.processes import Process, free_port, http_ok

# promtool reads the whole text once for each block.
_ONE_BLOCK = "--max-block-duration=87600h"


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
    with text.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in (*lines, "# EOF"))
    create: list[str | Path] = [
        programs["promtool"],
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        _ONE_BLOCK,
        text,
        data,
    ]
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
