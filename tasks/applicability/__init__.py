"""How near a row is to the training rows: what a bundle keeps of them, and the similarity of new rows to it.

`training_rows` holds what is kept for one task, `indexes` finds the nearest rows, `fingerprints` computes fingerprints.
"""
