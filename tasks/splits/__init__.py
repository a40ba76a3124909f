"""Splits of a table into train, valid and test: kinds of split, their hash, leaks between parts, and the saved file.

given      a column, or one file for each part, gives the part   `assigned`
fold       a column of fold numbers, or seeded folds             `assigned`
random     seeded shuffle, by label on request                   `assigned`
time       the oldest rows to train, the newest to test          `assigned`
scaffold   Bemis-Murcko scaffolds, equal to deepchem's splitter  `grouped`
molecule   equal molecules stay together, stereo ignored         `grouped`
cluster    similar sequences stay together                       `grouped`
group      rows with the same value of a column stay together    `grouped`
cold       values of one or more columns are new in test         `cold`
deepchem:NAME   a splitter class of deepchem 2.8                 `by_deepchem`
like:TASK       molecules are where another task has them        `like`

`make` finds the function of a kind of split by its name, `leaks` compares the parts, `saved` writes and loads a split.
"""

from mammal.tasks.splits.leaks import leakage
from mammal.tasks.splits.make import WAYS, split_frame
from mammal.tasks.splits.saved import SplitRecord, load_split
from mammal.tasks.splits.split import PARTS, Split, fill

__all__ = ["PARTS", "WAYS", "Split", "SplitRecord", "fill", "leakage", "load_split", "split_frame"]
