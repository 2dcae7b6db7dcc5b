"""Split one store among several exporters: each name belongs to exactly one of them.

What decides is the name alone, so exporters need not know of each other, and an experiment moves only when the number
of exporters changes.
"""

from __future__ import annotations

from typing import Annotated, Self
from zlib import crc32

from pydantic import Field, model_validator

from ml_monitoring.exporter.values import Model


class Shard(Model):
    """Which part of the names an exporter exposes.

    Attributes:
        index: Number of this exporter, from 0.
        count: How many exporters share the names.
    """

    index: Annotated[int, Field(ge=0)] = 0
    count: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if self.index >= self.count:
            raise ValueError(f"index {self.index} is none of {self.count} shards, which are numbered from 0")
        return self

    @property
    def first(self) -> bool:
        """Tell whether this exporter exposes what belongs to no name, such as totals."""
        return self.index == 0

    def owns(self, name: str) -> bool:
        """Tell whether this exporter exposes what has this name."""
        return crc32(name.encode()) % self.count == self.index
