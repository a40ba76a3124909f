"""The grammar of SMILES, with valences and Kekulé structures, one token at a time.

`valence.py` has the valences of atoms, `atoms.py` parses atoms, `brackets.py` handles bracket atoms that are written
character by character. `state.py` has the state of a partial molecule, `steps.py` extends it, `closing.py` computes how
to finish it. `automaton.py` combines these, and `part.py` maps them to tokens.
"""
