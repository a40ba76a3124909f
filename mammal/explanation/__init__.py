"""Explanations of predictions: how much each atom, residue, base or token contributes to the output of a task.

parts        the parts of a value that get an attribution; smiles_atoms: the atoms of a SMILES
content      the tokens of a prompt that hold values of the user, and the parts that they belong to
fragments    substructures and windows that are masked together
outputs      the number that is explained: a prediction of a regression, or the log-odds of a label
embedded     the model as a function of the embeddings of its input tokens
gradients    integrated gradients (captum); occlusion: what changes if a fragment is masked
records      explanations as columns of a table
question     explanations for the rows of a table
drawings     molecules, sequences and variants in colours
"""
