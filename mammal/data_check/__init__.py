"""Looks at the data of a task before training: unreadable rows, repeats, conflicting labels, units, leaks, lengths."""
