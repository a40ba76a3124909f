"""Scores of DNA variants: likelihoods of the alleles, and distances between encoder states.

source.py       rows -> the alleles of a site with the window around them
prompt.py       a DNA sequence in the prompt of a task
likelihood.py   log P(alternate) and log P(reference), given the window
distance.py     how far the encoder states of the window move when the allele changes
scores.py       the table of scores: columns, INFO fields, how each is computed
scoring.py      the requested scores of pairs of alleles, on one strand or both
question.py     scores a table of variants, for the Python API and for batch jobs
"""
