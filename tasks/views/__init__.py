"""Views: the different ways in which one thing can be written in a prompt (docs/tasks.md)."""
