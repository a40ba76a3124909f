"""Proteins and DNA as sequences: clusters, shared stretches, antibody loops, names of proteins."""
