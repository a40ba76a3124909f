"""Generates sequences for rows: settings, rules for valid answers, seeds, repeated sampling, and the question."""
