"""Guesses of the next tokens: which part of the prompt they are copied from, and how many are fed at once."""

from __future__ import annotations

import numpy as np

from mammal.decoding.drafts import DraftCost, Drafts, PromptRuns
from mammal.decoding.limits import LengthLimits

PAD, EOS = 1, 5


def runs(ids: list[int], sequence: list[int], *, unusable: tuple[int, ...] = (), most: int = 10) -> list[int]:
    ids_L = np.array(ids)
    found = PromptRuns(ids_L, ~np.isin(ids_L, unusable))
    for token in sequence:
        found.extend(token)
    return found.continuation(most).tolist()


def test_guesses_follow_the_longest_run() -> None:
    assert runs([1, 2, 3, 9, 2, 3, 4], [8, 2, 3]) == [9, 2, 3, 4], "the first of equal runs"
    assert runs([1, 2, 3, 9, 2, 3, 4, 7], [9, 2, 3]) == [4, 7], "the longest"
    assert runs([1, 2, 3, 9, 2, 3, 4, 7], [9, 2, 3], most=1) == [4]
    assert runs([1, 2, 3, 9, 2, 3, 4, 7], [9, 2, 3], unusable=(7,)) == [4]
    assert runs([1, 2, 3], [3]) == runs([1, 2, 3], [5]) == runs([], [1]) == runs([1, 2, 3], []) == []


def test_of_equal_runs_the_next_one_is_taken() -> None:
    ids_L = np.array([3, 1, 4, 3, 2, 3, 5])
    found = PromptRuns(ids_L, np.ones(7, dtype=bool))
    for token, expected in ((3, [1, 4]), (4, [3, 2]), (0, []), (3, [2, 3]), (0, []), (3, [5]), (0, []), (3, [1, 4])):
        found.extend(token)
        assert found.continuation(2).tolist() == expected


def test_the_length_of_a_draft_follows_the_share_of_correct_guesses() -> None:
    prompt_L = np.arange(10, 90)
    drafts = Drafts(LengthLimits(100, EOS, PAD), None, 10, DraftCost(0.2, 0.05))
    drafts.enter(prompt_L)
    assert not drafts.check(16) and len(drafts.draft(50)) == 0, "nothing is guessed after the start token"
    assert not drafts.check(10)
    lengths = [len(drafts.draft(50))]
    for token in range(11, 30):
        drafts.check(token)
        lengths.append(len(drafts.draft(50)))
    assert lengths == sorted(lengths) and lengths[0] > 0 and lengths[-1] == 10
    for token in (40, 50, 60, 70, 40, 50, 60, 70, 40, 50, 60, 70):
        drafts.check(token)
    assert len(drafts.draft(50)) == 0, "no guess was correct"
    for token in range(71, 80):
        drafts.check(token)
    assert len(drafts.draft(50)) == 10 and len(drafts.draft(3)) == 3
