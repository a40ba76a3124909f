"""Row to prompt: the columns that a prompt reads, conditions, and the rendered text."""
