"""Finds all problems of a template before any row is read.

Each problem states what is wrong, where (a character of the template) and the nearest valid name. All problems are
reported together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.errors import PromptError, did_you_mean
from mammal.tokenization.prompt import (
    EMBEDDINGS_FROM_DICT,
    SCALARS_FROM_DICT,
    SCALARS_LITERALS,
    find_tags,
    parse_prompt,
    text_before_first_tag,
)
from mammal.tokenization.template_syntax import READ_BY_FEATURE, Node, Part, Problem, TemplateSlot, Text, Words

if TYPE_CHECKING:
    from mammal.tokenization.tokenizer import Tokenizer

Labels = Sequence[str] | Mapping[str, Sequence[str]]
Nodes = Mapping[Part, tuple[Node, ...]]


class ScannedTemplate(Protocol):
    """The checked attributes of `mammal.tokenization.Template`, which can't be imported: it imports this module."""

    @property
    def input(self) -> str: ...

    @property
    def target(self) -> str | None: ...

    @property
    def raw(self) -> bool: ...

    @property
    def scanned(self) -> tuple[Nodes, tuple[Problem, ...]]: ...


_FEATURE_TAGS = ("<EMBEDDINGS>",)
_PUBLISHED_ONLY = ("GENE", "CELL_ATTRIBUTES")
"""Alphabets that are too large for the vocabulary of this package and only exist in published tokenizers."""
_NUMBER_SEGMENTS = (SCALARS_LITERALS, SCALARS_FROM_DICT, EMBEDDINGS_FROM_DICT)


def problems_of(
    template: ScannedTemplate,
    *,
    columns: Iterable[str] | None = None,
    tokenizer: Tokenizer | None = None,
    labels: Labels | None = None,
    mode: str | None = None,
    features: bool = False,
    token_labels: bool = False,
) -> list[Problem]:
    """Returns every problem of a template, in the order of its text; see `Template.lint` for the arguments."""
    nodes, problems = template.scanned
    checks = [problems, _roles(nodes), _misplaced_features(nodes)]
    checks.append(_feature_targets(nodes) if features else _features_not_predicted(nodes))
    checks.append(_token_targets(nodes) if token_labels else _tokens_not_labelled(nodes))
    if columns is not None:
        checks.append(_unknown_columns(nodes, list(columns)))
    if tokenizer is not None:
        checks.append(_unknown_tokens(nodes, tokenizer))
    if labels is not None:
        checks.append(_missing_labels(nodes, labels))
    if mode == "encoder":
        checks.append(_unpaired_masks(nodes))
    if template.raw:
        checks.append(_raw_wire(template))
    return sorted(chain.from_iterable(checks), key=lambda problem: (problem.part, problem.position))


def check(template: ScannedTemplate, problems: Sequence[Problem]) -> None:
    """Raises one PromptError that lists all problems, if there are any."""
    if not problems:
        return
    if len(problems) == 1:
        [only] = problems
        raise PromptError(only.what, where=f"prompt {only.part}, character {only.position + 1}", hint=only.hint)
    lines = [f"{len(problems)} problems in the prompt template"]
    for part in ("input", "target"):
        found = [problem for problem in problems if problem.part == part]
        lines += [f"  {part}: {getattr(template, part)}"] if found else []
        lines += [f"    {problem}" for problem in found]
    raise PromptError("\n".join(lines))


def _slots(nodes: Nodes, part: Part | None = None) -> list[TemplateSlot]:
    found = chain.from_iterable(nodes.values())
    return [node for node in found if isinstance(node, TemplateSlot) and part in (None, node.part)]


def _roles(nodes: Nodes) -> Iterator[Problem]:
    """Slots on a side of the template (input or target) where they are not allowed."""
    for slot in _slots(nodes, "input"):
        if slot.value is not None and not slot.value.in_input:
            what = f"column '{slot.column}' is a label, which the model must not read"
            yield Problem("input", slot.position, what, "labels belong to the target")
    answers = {slot.column for slot in _slots(nodes, "target") if slot.is_answer}
    for slot in _slots(nodes, "input"):
        if slot.column in answers and (slot.kind == "text" or (slot.value is not None and slot.value.in_input)):
            what = f"column '{slot.column}' is in the input and also in the target"
            yield Problem("input", slot.position, what)
    for slot in _slots(nodes, "target"):
        if slot.kind == "entity" and len(ways := ENTITIES[slot.name].ways) > 1:
            what = f"'{slot.name}' can be written in several ways, but a target must be written in one way"
            yield Problem("target", slot.position, what, "write " + " or ".join(f"{{{slot.column}:{w}}}" for w in ways))
    if "target" in nodes and nodes["target"] and not _slots(nodes, "target"):
        yield Problem("target", 0, "the target contains no column", "add a slot, such as {y:label}")


def _features_not_predicted(nodes: Nodes) -> Iterator[Problem]:
    for slot in _slots(nodes, "target"):
        if slot.kind == "feature":
            what = f"'{slot.name}' of column '{slot.column}' can be read but not predicted"
            yield Problem("target", slot.position, what, "it belongs to the input; kind: features predicts it")


def _feature_targets(nodes: Nodes) -> Iterator[Problem]:
    """Targets that are features: each once, of a column that the input shows, and all read at one `<MASK>`."""
    read = {slot.column: None for slot in _slots(nodes, "input") if slot.kind in ("entity", "alphabet")}
    computed = {slot.key for slot in _slots(nodes, "input") if slot.kind == "feature"}
    seen: set[str] = set()
    for slot in _slots(nodes, "target"):
        if slot.kind != "feature":
            what = f"a task of kind features predicts features only, and column '{slot.column}' is '{slot.name}'"
            yield Problem("target", slot.position, what, f"write {{{slot.column}:descriptors}}, or choose another kind")
        elif slot.key in computed:
            what = f"'{slot.name}' of column '{slot.column}' is in the input and also in the target"
            yield Problem("target", slot.position, what)
        elif slot.column not in read:
            what = f"column '{slot.column}' is not in the input, so its '{slot.name}' can't be predicted"
            yield Problem("target", slot.position, what, did_you_mean(slot.column, read, noun="column of the input"))
        elif slot.name in seen:
            yield Problem("target", slot.position, f"the target asks for '{slot.name}' twice", "predict each once")
        seen.add(slot.name)
    masks = sum(node.text.count("<MASK>") for node in nodes["input"] if isinstance(node, Text))
    if masks != 1:
        what = f"features are predicted at one <MASK> of the input, which has {masks}"
        yield Problem("input", 0, what, "write one <MASK>")


def _tokens_not_labelled(nodes: Nodes) -> Iterator[Problem]:
    for slot in _slots(nodes, "target"):
        if slot.kind == "labels":
            what = f"column '{slot.column}' has a label for each token, which this kind of task does not predict"
            yield Problem("target", slot.position, what, "kind: token_classification predicts it")


def _token_targets(nodes: Nodes) -> Iterator[Problem]:
    """A target with other slots than one of labels of tokens."""
    found = _slots(nodes, "target")
    for slot in found:
        if slot.kind != "labels":
            what = f"a task of kind token_classification predicts labels, and column '{slot.column}' is '{slot.name}'"
            yield Problem("target", slot.position, what, f"write {{{slot.column}:labels}}, or choose another kind")
    for slot in [slot for slot in found if slot.kind == "labels"][1:]:
        what = "the target asks for the labels of two columns"
        yield Problem("target", slot.position, what, "write one task for each; a mixture trains them together")


def _misplaced_features(nodes: Nodes) -> Iterator[Problem]:
    """Features of a column that the template writes as something else, such as ESM-2 states of DNA."""
    slots = _slots(nodes)
    written = {slot.column: slot for slot in slots if slot.kind in ("entity", "alphabet")}
    for slot in slots:
        if slot.kind != "feature" or slot.column not in written:
            continue
        name = written[slot.column].name
        alphabet = ENTITIES[name].alphabet if name in ENTITIES else name
        if alphabet != (needed := READ_BY_FEATURE[slot.name]):
            reads = "proteins" if needed == "AA" else "molecules"
            what = f"'{slot.name}' is computed from {reads}, and column '{slot.column}' is written as '{name}'"
            yield Problem(slot.part, slot.position, what, "name another column, or leave the feature out")


def _unknown_columns(nodes: Nodes, columns: list[str]) -> Iterator[Problem]:
    for slot in _slots(nodes):
        if slot.column not in columns:
            hint = did_you_mean(slot.column, columns, noun="column")
            yield Problem(slot.part, slot.position, f"the data has no column '{slot.column}'", hint)


def _unknown_tokens(nodes: Nodes, tokenizer: Tokenizer) -> Iterator[Problem]:
    for part, found in nodes.items():
        for node in found:
            if isinstance(node, Text):
                yield from _unknown_tags(node, part, tokenizer)
            elif isinstance(node, Words):
                yield from _unfit_slot(TemplateSlot("", "entity", "text", part, node.position), tokenizer)
            else:
                yield from _unfit_slot(node, tokenizer)


def _unknown_tags(text: Text, part: Part, tokenizer: Tokenizer) -> Iterator[Problem]:
    for tag, start in find_tags(text.text):
        position = text.position + start
        if tag.startswith("<@"):
            yield from _unknown_alphabet(tag, part, position, tokenizer)
        elif tag not in tokenizer.specials:
            hint = did_you_mean(tag, tokenizer.specials, noun="tag")
            yield Problem(part, position, f"the tokenizer has no tag {tag}", hint)


def _unknown_alphabet(segment_tag: str, part: Part, position: int, tokenizer: Tokenizer) -> Iterator[Problem]:
    try:
        [segment] = parse_prompt(segment_tag)
    except PromptError:
        return  # a misspelled tag is reported by `_raw_wire`
    names = [*tokenizer.alphabets, *_NUMBER_SEGMENTS]
    if segment.alphabet not in names:
        hint = _alphabet_hint(segment.alphabet, names)
        yield Problem(part, position, f"the tokenizer has no alphabet '{segment.alphabet}'", hint)


def _alphabet_hint(alphabet: str, names: Sequence[str]) -> str | None:
    if alphabet in _PUBLISHED_ONLY:
        return "use a tokenizer that has it, such as a published one: tokenizer=FOLDER; or Tokenizer.add_subtokenizer"
    if alphabet == "TEXT":
        return "models that were trained before TEXT existed can't read it: train a new one, without init"
    return did_you_mean(alphabet, names, noun="alphabet")


def _unfit_slot(slot: TemplateSlot, tokenizer: Tokenizer) -> Iterator[Problem]:
    """An alphabet or tag that a slot would write and the tokenizer lacks."""
    tags = _FEATURE_TAGS if slot.kind == "feature" else () if slot.value is None else slot.value.tags
    alphabets = [slot.name] if slot.kind == "alphabet" else []
    if slot.kind == "entity":
        alphabets, tags = [ENTITIES[way].alphabet for way in ENTITIES[slot.name].ways], ENTITIES[slot.name].tags
    for alphabet in alphabets:
        if alphabet not in tokenizer.alphabets:
            what = f"'{slot.name}' is written in the alphabet {alphabet}, which the tokenizer lacks"
            hint = _alphabet_hint(alphabet, tokenizer.alphabets)
            yield Problem(slot.part, slot.position, what, hint)
    lacking = [tag for tag in tags if tag not in tokenizer.specials]
    if lacking:
        what = f"'{slot.name}' is written with tags that the tokenizer lacks: {' '.join(lacking)}"
        yield Problem(slot.part, slot.position, what, "add them with Tokenizer.add_special_tokens, or use raw: true")


def _missing_labels(nodes: Nodes, labels: Labels) -> Iterator[Problem]:
    for slot in _slots(nodes, "target"):
        if slot.kind not in ("label", "labels"):
            continue
        declared = labels.get(slot.column, ()) if isinstance(labels, Mapping) else labels
        if len(declared) < 2:
            what = f"column '{slot.column}' is a label, but {len(declared)} labels are declared for it"
            yield Problem("target", slot.position, what, 'list at least two, such as labels: ["0", "1"]')


def _unpaired_masks(nodes: Nodes) -> Iterator[Problem]:
    """In encoder mode the n-th answer is read at the n-th `<MASK>`, so their numbers must be equal."""
    texts = (node.text for node in nodes["input"] if isinstance(node, Text))
    masks = sum(text.count("<MASK>") for text in texts)
    answers = [slot for slot in _slots(nodes, "target") if slot.is_answer]
    if answers and masks != len(answers):
        what = f"the encoder answers {len(answers)} slots at {masks} <MASK> tags of the input"
        yield Problem("target", answers[0].position, what, "write one <MASK> in the input for each")


def _raw_wire(template: ScannedTemplate) -> Iterator[Problem]:
    """Raw templates are wire text: segment tags must be well formed, one must come first, `<EOS>` must be last."""
    for part in ("input", "target"):
        text = getattr(template, part)
        if text is None:
            continue
        if text_before_first_tag(text):
            yield Problem(part, 0, "a raw template must begin with a segment tag", "such as <@TOKENIZER-TYPE=AA>")
        for tag, start in find_tags(text):
            if tag.startswith("<@"):
                yield from _misspelt(tag, part, start)
    if not template.input.endswith("<EOS>"):
        yield Problem("input", max(len(template.input) - 1, 0), "a raw input must end with <EOS>")


def _misspelt(segment_tag: str, part: Part, position: int) -> Iterator[Problem]:
    try:
        parse_prompt(segment_tag)
    except PromptError as error:
        yield Problem(part, position, error.what, error.hint)
