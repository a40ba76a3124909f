"""The vocabulary of the package: its ids, its alphabets, and that it can be rebuilt."""

from importlib.metadata import version
from itertools import pairwise

import pytest
import tokenizers

from mammal.tokenization import Tokenizer
from mammal.tokenization.build_vocabulary import BLOCKS, FOLDER, SOURCES, build
from mammal.tokenization.prompt import segment
from mammal.tokenization.special_tokens import LAST_SPECIAL_ID, OWN, PUBLISHED, SPECIAL_TOKENS

FROZEN_IDS = {  # a few ids of each block: they must never move
    "<UNK>": 0, "<PAD>": 1, "<EOS>": 5, "<0>": 44, "<SENTINEL_ID_0>": 57, "<SCALAR>": 305, "<DECODED_FROM_LATENT>": 313,
    "<EMBEDDINGS>": 314, "<->": 315, "<+>": 316, "<BBBP>": 326, "<INSTRUCTION>": 413,
}  # fmt: skip
FROZEN_ALPHABET_IDS = {
    "AA": {"A": 501, ":": 526},
    "DNA": {"A": 600, "N": 604, "[": 615, "]": 618, "[A/C]": 619, "[T/G]": 630},
    "SMILES": {" ": 700, "C": 735, "c": 767, "Br": 795, "Cl": 796, "%10": 797, "[C@@H]": 1008, "[te]": 1389},
    "IUPAC": {" ": 1500, "2": 1518, "yl": 1595},
    "TEXT": {" ": 3532, "A": 3565, " a": 3756, " molecule": 3839, " member": 3973, "Protein": 3992},
}

FIRST_FREE = max(last for _, last in BLOCKS.values()) + 1


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.load(None)


def tokens(tokenizer, alphabet, text):
    return [tokenizer.token(id) for id in tokenizer.encode(segment(alphabet, text + "<EOS>")).ids_L[:-1]]


def test_special_ids_are_the_published_ones_then_ours(tokenizer):
    assert tokenizer.specials == {token: id for id, token in enumerate(SPECIAL_TOKENS)}
    assert len(PUBLISHED) == 314
    assert not set(OWN) & set(PUBLISHED)
    assert len(SPECIAL_TOKENS) < LAST_SPECIAL_ID - 50, "little room is left for tags that users add"


def test_published_specials_are_those_of_the_base_tokenizer(shared):
    base = Tokenizer.load(shared / "compat/fixtures/tokenizer_base/tokenizer")
    assert base.specials == {token: id for id, token in enumerate(PUBLISHED)}


def test_ids_do_not_move(tokenizer):
    assert {token: tokenizer.special_id(token) for token in FROZEN_IDS} == FROZEN_IDS
    for alphabet, ids in FROZEN_ALPHABET_IDS.items():
        assert {token: tokenizer.token_id(token, alphabet) for token in ids} == ids


def test_every_alphabet_stays_in_its_block(tokenizer):
    assert tokenizer.alphabets == list(BLOCKS), "build() and BLOCKS of tokenization/build_vocabulary.py"
    for alphabet in tokenizer.alphabets:
        ids, (first, last) = tokenizer.alphabet_ids(alphabet), BLOCKS[alphabet]
        assert (ids[0], ids[-1]) == (first, first + len(ids) - 1)
        assert ids[-1] < last
    assert all(before[1] < after[0] for before, after in pairwise([(0, LAST_SPECIAL_ID), *BLOCKS.values()]))
    assert tokenizer.vocab_rows == tokenizer.alphabet_ids([*BLOCKS][-1])[-1] + 1


@pytest.mark.parametrize(
    ("alphabet", "text", "expected"),
    [
        ("SMILES", "C[C@@H](Br)c1cc[nH]c1Cl", ["C", "[C@@H]", "(", "Br", ")", *"c1cc", "[nH]", *"c1", "Cl"]),
        ("SMILES", "C%12CC%12", ["C", "%12", "C", "C", "%12"]),
        ("SMILES", "C%(123)", list("C%(123)")),
        ("SMILES", "[Na+].[Cl-]", ["[Na+]", ".", "[Cl-]"]),
        ("SMILES", "[252Cf+3]", list("[252Cf+3]")),
        ("SMILES", "CCO>>CC=O", list("CCO>>CC=O")),
        ("SMILES", "Sc1ccccc1", list("Sc1ccccc1")),
        ("IUPAC", "(2R)-2-amino", ["(", "2", "R", ")", "-", "2", "-", "amino"]),
        ("IUPAC", "1,2-dimethyl", ["1", ",", "2", "-", "dimethyl"]),
        ("DNA", "acgtN[A/G]R", ["A", "C", "G", "T", "N", "[A/G]", "R"]),
        ("DNA", "[-/AT][A/C/G][R/A]", list("[-/AT][A/C/G][R/A]")),
        ("AA", "MKX:UO", list("MKX:UO")),
        ("TEXT", "The molecule is a 4-one.", ["The", " molecule", " is", " a", " 4", "-", "one", "."]),
        ("TEXT", "é", ["\\xc3", "\\xa9"]),
    ],
)
def test_how_text_is_cut(tokenizer, alphabet, text, expected):
    assert tokens(tokenizer, alphabet, text) == expected


@pytest.mark.parametrize("name", ["aa", "dna", "smiles", "iupac", "text"])
def test_the_files_mean_the_same_to_the_tokenizers_library(tokenizer, name):
    texts = {
        "aa": ["MKV LLX:", "ACDEFGHIKLMNPQRSTVWYBZXUO"],
        "dna": ["acgt[a/g]NNRY", "[-/AT]AC[CTT/-][A/C/G]"],
        "smiles": ["C[C@@H](Br)c1cc[nH]c1Cl", "[252Cf+3].[O-][N+](=O)C%10%11"],
        "iupac": ["2-[4-(2-methylpropyl)phenyl]propanoic acid", "$l^{4}-sulfane; (2R)-oxolan-2-ol"],
        "text": ["The molecule is a  member of phenols.\n\nIt has 12 roles", "α-amanitin, é😀 5-->4 < 3 and > 2"],
    }
    library = tokenizers.Tokenizer.from_file(str(FOLDER / f"{name}_tokenizer.json"))
    for text in texts[name]:
        assert (
            tokenizer.encode(segment(name.upper(), text + "<EOS>")).ids_L.tolist() == library.encode(text + "<EOS>").ids
        )


def test_genes_can_be_added_without_moving_an_id(shared):
    tokenizer = Tokenizer.load(None)
    before = {alphabet: tokenizer.alphabet_ids(alphabet).tolist() for alphabet in tokenizer.alphabets}
    genes = shared / "compat/fixtures/tokenizer_base/tokenizer/cell_attributes_tokenizer.json"
    tokenizer.add_subtokenizer("CELL_ATTRIBUTES", genes, FIRST_FREE)
    assert {alphabet: tokenizer.alphabet_ids(alphabet).tolist() for alphabet in before} == before
    assert tokenizer.alphabet_ids("CELL_ATTRIBUTES")[0] == FIRST_FREE


@pytest.mark.skipif(
    any(version(package) != built for package, built in SOURCES.items()), reason=f"the files were built with {SOURCES}"
)
def test_building_gives_the_shipped_bytes(tmp_path):
    build(tmp_path)
    shipped = {path.name for path in FOLDER.iterdir() if path.suffix in (".json", ".yaml")}
    assert {path.name for path in tmp_path.iterdir()} == shipped
    for name in shipped:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()
