"""Statistics of variants that compete: pure functions of counts, standard library only.

`posterior` answers "which one is how good, and how sure is that?" with a Beta-Binomial model. `sequential` answers "how
good is it at most?" with intervals that stay valid however often one looks, which is what a monitor does; what compares
variants so is in `exporter.inference`. Nothing here knows of databases or metrics; every formula names its source.
"""

from __future__ import annotations

from ml_monitoring.exporter.statistics.posterior import Beta, Standing, compare, prior_of, thompson_shares
from ml_monitoring.exporter.statistics.sequential import Counts, confidence_sequence
from ml_monitoring.exporter.statistics.spread import NumberSums, RatioSums, mean_p_value

__all__ = [
    "Beta",
    "Counts",
    "NumberSums",
    "RatioSums",
    "Standing",
    "compare",
    "confidence_sequence",
    "mean_p_value",
    "prior_of",
    "thompson_shares",
]
