"""What can go wrong, in words for the person who runs the command."""

from __future__ import annotations


class RenderError(Exception):
    """A dashboard cannot be read, queried or drawn; the message says which and why."""


class QueryError(RenderError):
    """Prometheus refused a query or did not answer."""


class UnsupportedPanelError(RenderError):
    """The panel is of a type, or reads a data source, that this renderer does not know."""
