"""Training with Lightning: batches of several tasks, optimisers, schedules, callbacks, resuming."""
