"""HTML reports of training, evaluation and predictions."""
