"""The YAML declaration of a task: its schema, its checks, and the search for it by name."""
