"""Measure what each alert costs in false alarms, and how soon it finds the fault that it is for."""
