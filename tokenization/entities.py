"""The table of entities: the kinds of sequences that templates can contain.

An entity defines the alphabet of its text, the tags that identify it for the model (spelled as in the published code),
and the maximal number of tokens of its segment.
"""

from __future__ import annotations

from dataclasses import dataclass

from mammal.tokenization.errors import PromptError, did_you_mean


@dataclass(frozen=True)
class Entity:
    """One kind of sequence, such as protein, SMILES or DNA.

    Attributes:
        name: name in templates, `{column:name}`.
        alphabet: alphabet of the tokenizer that reads it.
        tags: tags that are written before the sequence, in this order.
        max_len: maximum number of tokens of its segment, including tags (`MAX-LEN` of the wire format). None: no limit.
        written_as: entities in which its text can be written, the usual one first; their alphabet and length are used.
            Empty if there is only one way. The tags stay its own.
    """

    name: str
    alphabet: str
    tags: tuple[str, ...] = ()
    max_len: int | None = None
    written_as: tuple[str, ...] = ()

    @property
    def ways(self) -> tuple[str, ...]:
        """Entities in which its text can be written. The entity itself if there is only one way."""
        return self.written_as or (self.name,)


def _molecular(name: str, alphabet: str, *kinds: str, max_len: int | None, written_as: tuple[str, ...] = ()) -> Entity:
    tags = ("<MOLECULAR_ENTITY>", *(f"<MOLECULAR_ENTITY_{kind}>" for kind in kinds))
    return Entity(name, alphabet, tags, max_len, written_as)


# Lengths: 1250 residues and 256 SMILES tokens are those of the published affinity task, 700 those of its antibody and
# TCR prompts (170 for the epitope), 500 genes those of its cell prompts. The others are ours.
ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (
        _molecular("protein", "AA", "GENERAL_PROTEIN", max_len=1250),
        _molecular("protein_chain", "AA", "PROTEIN_CHAIN", max_len=1250),
        _molecular("mutated_chain", "AA", "MUTATED_PROTEIN_CHAIN", max_len=1250),
        _molecular("peptide", "AA", "PEPTIDE", max_len=170),
        _molecular("antibody_heavy", "AA", "ANTIBODY_HEAVY_CHAIN", max_len=700),
        _molecular("antibody_light", "AA", "ANTIBODY_LIGHT_CHAIN", max_len=700),
        _molecular("heavy_cdr1", "AA", "ANTIBODY_HEAVY_CHAIN_CDR1", max_len=64),
        _molecular("heavy_cdr2", "AA", "ANTIBODY_HEAVY_CHAIN_CDR2", max_len=64),
        _molecular("heavy_cdr3", "AA", "ANTIBODY_HEAVY_CHAIN_CDR3", max_len=64),
        _molecular("light_cdr1", "AA", "ANTIBODY_LIGHT_CHAIN_CDR1", max_len=64),
        _molecular("light_cdr2", "AA", "ANTIBODY_LIGHT_CHAIN_CDR2", max_len=64),
        _molecular("light_cdr3", "AA", "ANTIBODY_LIGHT_CHAIN_CDR3", max_len=64),
        _molecular("antigen", "AA", "ANTIGEN", max_len=700),
        _molecular("epitope", "AA", "EPITOPE", max_len=170),
        _molecular("tcr_alpha", "AA", "TCR_ALPHA_CHAIN", max_len=700),
        _molecular("tcr_alpha_cdr3", "AA", "TCR_ALPHA_CDR3", max_len=170),
        _molecular("tcr_beta", "AA", "TCR_BETA_VDJ", max_len=700),
        _molecular("tcr_beta_cdr3", "AA", "TCR_BETA_CDR3", max_len=170),
        _molecular("smiles", "SMILES", "SMALL_MOLECULE", max_len=256),
        _molecular("iupac", "IUPAC", "SMALL_MOLECULE", max_len=256),
        _molecular("molecule", "SMILES", "SMALL_MOLECULE", max_len=256, written_as=("smiles", "iupac")),
        _molecular("dna", "DNA", "DNA", max_len=4096),
        _molecular("cell", "GENE", "CELL_GENE_EXPRESSION_RANKED", max_len=500),
        Entity("cell_attributes", "CELL_ATTRIBUTES", max_len=64),
        Entity("text", "TEXT", ("<TEXT_SEQUENCE>",), max_len=512),
    )
}
"""Every entity that templates can name, by its name."""


def entity(name: str) -> Entity:
    """Returns the entity with a name.

    Args:
        name: name of the entity.

    Raises:
        PromptError: there is no such entity; the message suggests the nearest names.
    """
    try:
        return ENTITIES[name]
    except KeyError:
        raise PromptError(f"unknown entity '{name}'", hint=did_you_mean(name, ENTITIES, noun="entity name")) from None
