"""Which rows a model was pretrained on: one spelling and one key for each text, and a compact filter of keys."""
