"""Grammars of targets: they allow only tokens that lead to a valid target, so that generation is valid by design."""
