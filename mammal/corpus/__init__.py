"""Text for pretraining: clean tables of molecules, names and sequences, and their encoded rows on disk."""
