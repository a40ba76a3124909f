"""What a task predicts: labels, numbers and their scales, losses, calibration."""
