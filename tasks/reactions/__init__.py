"""Reactions: what goes into one, which atoms come out where, and SMILES of both sides in the same order of atoms."""
