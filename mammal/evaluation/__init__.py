"""Evaluation on held-out rows: figures with intervals, baselines, sensitivity, sets of generated molecules."""
