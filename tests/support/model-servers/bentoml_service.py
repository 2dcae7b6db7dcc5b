"""A BentoML service with two endpoints, of which one takes time or fails as it is asked."""

import time

import bentoml


@bentoml.service
class Ranker:
    """Ranks scores."""

    @bentoml.api(route="/rank")
    def rank(self, scores: list[float], seconds: float = 0.0, fail: bool = False) -> list[int]:
        """Return the places of the scores, the highest first."""
        time.sleep(seconds)
        if fail:
            raise RuntimeError("as it was asked")
        return sorted(range(len(scores)), key=lambda place: -scores[place])

    @bentoml.api(route="/best")
    def best(self, scores: list[float]) -> int:
        """Return the place of the highest score."""
        return max(range(len(scores)), key=lambda place: scores[place])
