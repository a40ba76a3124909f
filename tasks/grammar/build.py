"""Construction of the grammar of a template's target: its tags at their positions, and each slot in its own language.

Every generated target has all numbers of the template, even those that rows may lack. Shapes: V columns of the grammar.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mammal.tasks.errors import TaskError
from mammal.tasks.grammar.dna import DnaPart
from mammal.tasks.grammar.parts import AMPLE, Begun, Codes, Literal, Number, Part, Run
from mammal.tasks.grammar.scaffold import keeps_scaffold, read_scaffold
from mammal.tasks.grammar.smiles.native import smiles_part_class
from mammal.tasks.grammar.target import TargetGrammar
from mammal.tasks.grammar.text import TextPart
from mammal.tasks.molecules.chemistry import canonical_or_none
from mammal.tokenization.prompt import NUMBERS_AND_EMBEDDINGS, parse_prompt, segment, text_before_first_tag
from mammal.tokenization.template import TAG_ALPHABET, Template, label_code
from mammal.tokenization.value_slots import CHARACTERS

if TYPE_CHECKING:
    from mammal.tokenization.template_syntax import TemplateSlot
    from mammal.tokenization.tokenizer import Tokenizer

SMILES = "SMILES"
_RESIDUES = "AA"
_BASES = "DNA"
_TEXT = "TEXT"
_EOS = "<EOS>"


class TargetBuilder:
    """Builds grammars of one template's target.

    Args:
        template: the template.
        tokenizer: the tokenizer that encodes the target.
        labels: class labels of a label slot; empty: any index is allowed.
        scored_V: further ids that are scored together with the allowed ones, although no target contains them.
    """

    def __init__(
        self,
        template: Template,
        tokenizer: Tokenizer,
        labels: Sequence[str] = (),
        scored_V: np.ndarray | None = None,
    ):
        self.tokenizer = tokenizer
        self._labels = labels
        self._stretches = _stretches(template)
        self.ids_V = self._ids() if scored_V is None else np.union1d(self._ids(), scored_V)
        self._column_of = {id: column for column, id in enumerate(self.ids_V.tolist())}

    @property
    def molecules(self) -> list[TemplateSlot]:
        """Slots of SMILES."""
        return [item for item, alphabet in self._stretches if not isinstance(item, str) and alphabet == SMILES]

    def grammar(self, prefix: str | None = None, scaffold: str | None = None) -> TargetGrammar:
        """Returns the grammar.

        Args:
            prefix: beginning of the first text of the target.
            scaffold: a SMILES with attachment points `*` that the first molecule must contain.

        Raises:
            TaskError: no target can have this prefix or scaffold, or the slots can't be distinguished.
        """
        if prefix is not None and scaffold is not None:
            raise TaskError("a molecule either begins with a text or keeps a scaffold", hint="give one of them")
        parts: list[Part] = []
        for item, alphabet in self._stretches:
            if isinstance(item, str):
                parts.append(self._literal(item, alphabet))
            elif scaffold is not None and alphabet == SMILES:
                parts += self._around(scaffold)
                scaffold = None
            elif prefix is not None and alphabet not in NUMBERS_AND_EMBEDDINGS and not item.as_tags:
                parts += self._begun(self._part(item, alphabet), prefix, alphabet)
                prefix = None
            else:
                parts.append(self._part(item, alphabet))
        if prefix is not None or scaffold is not None:
            what = "begins with a text" if prefix is not None else "keeps a scaffold"
            raise TaskError(f"no answer of this task {what}", hint="its target has no slot for one, such as {y:smiles}")
        return TargetGrammar(self.ids_V, parts)

    def invalid_reason(self, ids: Sequence[int], scaffold: str | None = None) -> str | None:
        """Returns the reason why a generated target is not valid; None if it is.

        It is valid if RDKit can read its molecules, and if the first one contains the scaffold.

        Args:
            ids: token ids of the target. Text in the SMILES alphabet between tags is a molecule; if the target has a
                slot for a molecule, there must be at least one.
            scaffold: a SMILES with attachment points `*`.
        """
        texts = self._texts(ids) if self.molecules else []
        if self.molecules and not texts:
            return "there is no molecule in it"
        for smiles in texts:
            if canonical_or_none(smiles) is None:
                return f"RDKit can't read the molecule {smiles}"
            if scaffold is not None and not keeps_scaffold(smiles, scaffold):
                return f"the molecule {smiles} does not keep the scaffold {scaffold}"
            scaffold = None
        return None

    def _texts(self, ids: Sequence[int]) -> list[str]:
        """Runs of SMILES tokens."""
        runs = [""]
        for id in map(int, ids):
            runs = [*runs[:-1], runs[-1] + self.tokenizer.token(id)] if id in self._smiles_ids else [*runs, ""]
        return [run for run in runs if run]

    @cached_property
    def _smiles_ids(self) -> frozenset[int]:
        return frozenset(self.tokenizer.alphabet_ids(SMILES).tolist())

    def _ids(self) -> np.ndarray:
        """Ids of the slots' alphabets and of all other tokens of the target."""
        ids: list[np.ndarray] = []
        for item, alphabet in self._stretches:
            if isinstance(item, str):
                ids.append(self._encoded(item, alphabet))
            elif item.as_tags:
                ids.append(np.array(sorted(self._characters().values())))
            elif alphabet in NUMBERS_AND_EMBEDDINGS:
                ids.append(np.array([self.tokenizer.scalar_id]))
            else:
                ids.append(self.tokenizer.alphabet_ids(alphabet))
        return np.unique(np.concatenate(ids)).astype(np.int64)

    def _characters(self) -> dict[str, int]:
        """Character that is written as a tag -> id of this tag."""
        specials = self.tokenizer.specials
        return {character: specials[tag] for tag, character in CHARACTERS.items() if tag in specials}

    def _tag_columns(self) -> dict[str, int]:
        """Character that is written as a tag -> column."""
        return {character: self._column_of[id] for character, id in self._characters().items()}

    def _encoded(self, text: str, alphabet: str) -> np.ndarray:
        return self.tokenizer.encode(segment(alphabet, text), require_eos=False).ids_L.astype(np.int64)

    def _columns(self, ids: Iterable[int]) -> list[int]:
        return [self._column_of[int(id)] for id in ids]

    def _literal(self, text: str, alphabet: str) -> Literal:
        return Literal(self._columns(self._encoded(text, alphabet)), len(self.ids_V))

    def _part(self, slot: TemplateSlot, alphabet: str) -> Part:
        width = len(self.ids_V)
        if slot.inside_tag:
            hint = "generation.constraint: alphabet"
            raise TaskError("no grammar follows a slot inside a tag", where=f"column '{slot.column}'", hint=hint)
        if slot.kind == "label":
            return self._label(self._tag_columns())
        if slot.kind == "digits":
            return Number(self._tag_columns(), width)
        if slot.value is not None and slot.as_tags:
            columns = self._tag_columns()
            return Run([columns[CHARACTERS[tag]] for tag in slot.value.tags], width)
        if alphabet in NUMBERS_AND_EMBEDDINGS:
            return Literal(self._columns([self.tokenizer.scalar_id]), width)
        if alphabet == _TEXT:
            ids = self.tokenizer.alphabet_ids(alphabet).tolist()
            return TextPart({self._column_of[id]: self.tokenizer.token_bytes(id) for id in ids}, width)
        tokens = self._tokens(alphabet)
        if alphabet == SMILES:
            return smiles_part_class()(tokens, width)
        if alphabet == _BASES:
            return DnaPart(tokens, width)
        if alphabet == _RESIDUES:
            tokens = {token: column for token, column in tokens.items() if token.isalpha()}
        return Run(tokens.values(), width)

    def _label(self, columns: dict[str, int]) -> Part:
        if not self._labels:
            return Run([column for character, column in columns.items() if character.isdigit()], len(self.ids_V))
        codes = [label_code(index, len(self._labels)) for index in range(len(self._labels))]
        return Codes([[columns[digit] for digit in code] for code in codes], len(self.ids_V))

    def _tokens(self, alphabet: str) -> dict[str, int]:
        """Token text -> column, for the tokens of an alphabet."""
        ids = self.tokenizer.alphabet_ids(alphabet).tolist()
        return {self.tokenizer.token(id): self._column_of[id] for id in ids}

    def _begun(self, part: Part, prefix: str, alphabet: str) -> list[Part]:
        """The prefix as literal text, and the part that continues it."""
        ids = self._encoded(prefix, alphabet)
        columns, state = self._columns(ids), part.start()
        for number, column in enumerate(columns):
            if not part.mask(state, AMPLE)[column]:
                token, before = self.tokenizer.token(int(ids[number])), self.tokenizer.decode(ids[:number])
                what = f"no answer of this task begins with {prefix!r}"
                raise TaskError(what, hint=f"{token!r} can't follow {before!r}" if before else None)
            state = part.advance(state, column)
        return [Literal(columns, len(self.ids_V)), Begun(part, state)]

    def _around(self, scaffold: str) -> list[Part]:
        """The scaffold's text as literals, with a side chain at every attachment point."""
        parts: list[Part] = []
        for piece in read_scaffold(scaffold):
            if piece.text:
                parts.append(self._literal(piece.text, SMILES))
            if piece.bond is not None:
                tokens = self._tokens(SMILES)
                parts.append(smiles_part_class()(tokens, len(self.ids_V), piece.bond, piece.open_rings, dots=False))
        return parts


def _stretches(template: Template) -> list[tuple[str | TemplateSlot, str]]:
    """The target's texts and slots in order, each with its alphabet; `<EOS>` at the end."""
    found: list[tuple[str | TemplateSlot, str]] = []
    alphabet = TAG_ALPHABET
    for piece in template.target_pieces:
        if not isinstance(piece, str):
            found.append((piece, alphabet))
            continue
        before = text_before_first_tag(piece)
        found.append((before, alphabet))
        for part in parse_prompt(piece[len(before) :]) if before != piece else ():
            alphabet = part.alphabet
            found.append((part.text, alphabet))
    if not found or not str(found[-1][0]).endswith(_EOS):
        found.append((_EOS, TAG_ALPHABET))
    return [(item, alphabet) for item, alphabet in found if item != ""]
