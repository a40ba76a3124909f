"""Train, valid and test: how rows are divided, the hash of a division, what leaks across it, and its file.

given      a column, or one file for each part, says it          `assigned`
fold       a column of fold numbers, or seeded folds             `assigned`
random     seeded shuffle, by label on request                   `assigned`
time       the oldest rows to train, the newest to test          `assigned`
scaffold   Bemis-Murcko scaffolds, equal to deepchem's splitter  `grouped`
molecule   equal molecules, whatever their stereo, stay together `grouped`
cluster    sequences that are alike stay together                `grouped`
group      rows with the same value of a column stay together    `grouped`
cold       values of one or more columns are new in test         `cold`
deepchem:NAME   any splitter class of deepchem                   `by_deepchem`

`make` finds the way by its name, `leaks` compares the parts, `saved` writes a division and takes it back.
"""

from mammal.tasks.splits.leaks import leakage
from mammal.tasks.splits.make import WAYS, split_frame
from mammal.tasks.splits.saved import SplitRecord, load_split
from mammal.tasks.splits.split import PARTS, Split, fill

__all__ = ["PARTS", "WAYS", "Split", "SplitRecord", "fill", "leakage", "load_split", "split_frame"]
