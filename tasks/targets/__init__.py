"""Targets of a task: class labels, numbers and their scales, losses, calibration of predictions."""
