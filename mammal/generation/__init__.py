"""Generating sequences for rows: settings, rules, seeds, draws that are repeated, and the question that tables ask."""
