"""What a variant changes, as a model sees it: allele likelihoods and distances between encoder states.

source.py       rows -> the alleles of a site with the window around them
prompt.py       a stretch of bases as a task's prompt shows it to the model
likelihood.py   log P(alternate) and log P(reference), given the window
distance.py     how far the window's states move when the allele changes
scoring.py      what is asked, both strands, and the columns that answer
question.py     a table of variants as the Python API and batch jobs ask about it
"""
