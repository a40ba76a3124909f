"""Encoded rows, batches of rows of similar length as tensors, and predictions."""
