"""How a set of generated molecules stands beside a training set and a reference set.

The measures are those of MOSES (Polykovskiy et al. 2020, doi 10.3389/fphar.2020.565644), so that figures can be set
beside published ones; each module names what it measures and where it departs from that paper's code.

    describe     one molecule: canonical SMILES, fingerprint, fragments, scaffold, properties
    summary      a set of them, as far as the measures need it; kept on disk for large reference sets
    chemnet      mean and covariance of ChemNet's activations, and the Fréchet distance of two sets (FCD)
    similarity   nearest neighbours, internal diversity, cosine of counts
    novelty      which molecules a training file does not hold
    judge        all of it
"""
