"""The YAML declaration of a task: its schema, its checks, and finding it by name."""
