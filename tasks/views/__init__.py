"""Views: different forms in which an entity can be written in a prompt (docs/tasks.md)."""
