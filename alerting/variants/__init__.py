"""Variants of content and their performance."""
