"""Evaluation beside baselines, and pages that show it."""
