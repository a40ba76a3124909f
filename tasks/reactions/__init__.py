"""Chemical reactions: reactants, reagents and products, atom maps, and SMILES of both sides in the same atom order."""
