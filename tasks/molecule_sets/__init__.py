"""Comparison of a set of generated molecules with a training set and reference sets.

The measures are those of MOSES (Polykovskiy et al. 2020, doi 10.3389/fphar.2020.565644), so that results can be
compared with published ones. Each module documents its measures, and where it differs from the code of that paper.

    describe     one molecule: canonical SMILES, fingerprint, fragments, scaffold, properties
    summary      a set of molecules, reduced to the data that the measures need; cached on disk for large reference sets
    chemnet      mean and covariance of ChemNet's activations, and the Fréchet distance of two sets (FCD)
    similarity   nearest neighbours, internal diversity, cosine of counts
    novelty      molecules that are not in a training file
    judge        all measures together
"""
