"""Functions on molecules with RDKit: canonical SMILES, scaffolds, fingerprints, properties."""
