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
    backfill(programs, folder / "data", lines)
    with prometheus_on(programs, folder, config=config, flags=flags) as url:
        yield url


def backfill(programs: Mapping[str, Path], data: Path, lines: Iterable[str]) -> None:
    """Write samples of the past, in the order of time for each series.

    Args:
        programs: Has `promtool`.
        data: Prometheus's folder of data.
        lines: OpenMetrics with a time in each line, without the end mark.
    """
    text = data.parent / f"{data.name}.om"
    with text.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
        file.write("# EOF\n")
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
    text.unlink()


@contextmanager
def prometheus_on(
    programs: Mapping[str, Path], folder: Path, *, config: str = "{}", flags: Iterable[str] = ()
) -> Iterator[str]:
    """Run Prometheus on samples that were written before and give its address.

    Args:
        programs: Has `prometheus`.
        folder: Where `backfill` put them, as `data`.
        config: Its configuration.
        flags: Further flags.
    """
    url = f"http://127.0.0.1:{free_port()}"
    with prometheus_process(programs, folder, url, config=config, flags=flags):
        yield url


def prometheus_process(
    programs: Mapping[str, Path], folder: Path, url: str, *, config: str = "{}", flags: Iterable[str] = ()
) -> Process:
    """Return a Prometheus that is not started yet, on samples that were written before.

    Args:
        programs: Has `prometheus`.
        folder: Where `backfill` put them, as `data`.
        url: The address that it is to have.
        config: Its configuration.
        flags: Further flags.
    """
    settings = folder / "prometheus.yml"
    settings.write_text(config, encoding="utf-8")
    return Process(
        "prometheus",
        [
            programs["prometheus"],
            f"--config.file={settings}",
            f"--storage.tsdb.path={folder / 'data'}",
            # The samples are older than what Prometheus keeps by default.
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={url.removeprefix('http://')}",
            *flags,
        ],
        log=folder / "prometheus.log",
        healthy=lambda: http_ok(f"{url}/-/ready"),
    )
