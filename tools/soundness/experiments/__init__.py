"""Simulate experiments under conditions of the world outside, and compare tests that judge them at every look."""
