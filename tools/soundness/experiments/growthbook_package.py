"""GrowthBook's own package, in an environment of its own: `methods.growthbook` must decide as it does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tools.soundness.experiments import methods, worlds

_ENVIRONMENT = Path(__file__).resolve().parents[3] / ".tools" / "soundness" / "growthbook"
_PACKAGE = "gbstats==0.8.0"
_SCRIPT = """
import json, sys
from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import ProportionStatistic, SampleMeanStatistic
answers = []
for kind, *looks in json.load(sys.stdin):
    first = None
    for look, ((n0, s0, q0), (n1, s1, q1)) in enumerate(looks):
        if kind == "proportion":
            a, b = ProportionStatistic(n=n0, sum=s0), ProportionStatistic(n=n1, sum=s1)
        else:
            a = SampleMeanStatistic(n=n0, sum=s0, sum_squares=q0)
            b = SampleMeanStatistic(n=n1, sum=s1, sum_squares=q1)
        low, high = SequentialTwoSidedTTest(a, b, SequentialConfig()).compute_result().ci
        if (low > 0 or high < 0) and a.variance > 0 and b.variance > 0:
            first = look
            break
    answers.append(first)
print(json.dumps(answers))
"""


def compare(experiments: int = 20) -> str:
    """Return a sentence about how often both decide after the same batch."""
    python = _ENVIRONMENT / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    if not python.exists():
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, _ENVIRONMENT], check=True)
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, _PACKAGE], check=True)
    rng = np.random.default_rng(7)
    asked, ours = [], []
    for kind in (worlds.PROPORTION, worlds.MEAN):
        for _ in range(experiments):
            observed = worlds.plain(batches=60)(rng, kind, 0.3)
            sums = (np.cumsum(part, axis=0) for part in (observed.trials, observed.total, observed.squares))
            asked.append([kind, *np.stack(list(sums), axis=-1).tolist()])
            ours.append(methods.growthbook(observed, kind))
    answered = subprocess.run(
        [python, "-c", _SCRIPT], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    same = sum(one == other for one, other in zip(json.loads(answered.stdout), ours, strict=True))
    return (
        f"GrowthBook's figures are of the formulas of {_PACKAGE.replace('==', ' ')}. The package itself decided "
        f"after the same batch in {same} of {len(ours)} experiments."
    )
