"""Conversion of rows to prompts: the columns that a prompt reads, conditions, and the rendered text."""
