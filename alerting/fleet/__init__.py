"""Fleets of servers, read from files."""
