"""SMILES by grammar, valence and Kekulé structure, one token at a time.

`valence.py` says what an atom may bear, `atoms.py` reads atoms, `brackets.py` those that are spelled out; `state.py`
holds a half-written molecule, `steps.py` adds to it, `closing.py` knows how to finish it; `automaton.py` joins these,
and `part.py` speaks in tokens.
"""
