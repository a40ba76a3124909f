"""Rows in, answers out: reading what users hand over, batching it through the model, and columns of the result."""
