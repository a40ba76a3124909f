"""The network: a T5 encoder-decoder over packed tokens, its heads, and its checkpoint files."""
