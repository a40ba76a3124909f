"""From rows to answers: reads the user's data, runs the model on it in batches, and makes columns of the result."""
