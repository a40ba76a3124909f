"""Tensors: encoded rows, batches of similar length, and predictions read back from a batch."""
