"""Molecules through RDKit: canonical SMILES, scaffolds, fingerprints, properties."""
