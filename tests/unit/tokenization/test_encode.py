"""Encoding with the vocabulary of the package: batches, warnings, errors, numbers, offsets, workers."""

from __future__ import annotations

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from mammal.tokenization import Prompt, Template, Tokenizer
from mammal.tokenization.errors import PromptError, TokenizerError, UnknownTokenError
from mammal.tokenization.notices import PromptWarning
from mammal.tokenization.prompt import segment

SMILES, AA = "<@TOKENIZER-TYPE=SMILES>", "<@TOKENIZER-TYPE=AA>"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


def texts(tokenizer: Tokenizer, encoding) -> list[str]:
    return [tokenizer.token(id) for id in encoding.ids_L.tolist()]


def test_dative_bonds_are_read_character_by_character_and_given_back(tokenizer: Tokenizer):
    value = "[Fe]<-NCCN->[Fe]"
    prompt = Template("{s:smiles}").render({"s": value}, target=False)
    encoding = tokenizer.encode(prompt)
    read = texts(tokenizer, encoding)
    start, end = read.index("<SEQUENCE_NATURAL_START>"), read.index("<SEQUENCE_NATURAL_END>")
    assert read[start + 1 : end] == ["[Fe]", "<", "-", "N", "C", "C", "N", "-", ">", "[Fe]"]
    with pytest.raises(TokenizerError, match="dative bond"):
        Tokenizer.load().add_special_tokens(["<-N>"])


PROMPTS = [
    f"{SMILES}CC(=O)Oc1ccccc1<EOS>",
    segment("AA", "MKTAYIAKQR", 4, "RAND") + f"{SMILES}CCO<EOS>",
    f"{AA}<MASK><@TOKENIZER-TYPE=SCALARS_LITERALS>1.5,-2{AA}ACDE<EOS>",
    f"{AA}<EOS>",
    segment("AA", "MKTAYIAKQR", 3, "RAND") + f"{AA}<EOS>",
]


@pytest.mark.parametrize("options", [{}, {"max_len": 6}, {"max_len": 12, "pad": True}, {"max_len": 0}])
def test_a_batch_is_encoded_as_its_prompts_one_by_one(options):
    alone, together = Tokenizer.load(), Tokenizer.load()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PromptWarning)
        ones = [alone.encode(prompt, **options) for prompt in PROMPTS]
        batch = together.encode_batch(iter(PROMPTS), **options)
    for one, other in zip(ones, batch, strict=True):
        for name in ("ids_L", "values_L", "has_value_L", "mask_L", "offsets_L2"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_padding_is_masked_and_a_written_pad_is_not(tokenizer):
    encoding = tokenizer.encode(f"{AA}A<PAD>C<EOS>", max_len=6, pad=True)
    assert texts(tokenizer, encoding) == ["A", "<PAD>", "C", "<EOS>", "<PAD>", "<PAD>"]
    assert encoding.mask_L.tolist() == [True] * 4 + [False] * 2
    assert encoding.offsets_L2[-1].tolist() == [-1, -1]
    assert encoding.ids_L.dtype == np.int32


def test_padding_without_a_length_adds_nothing(tokenizer):
    assert len(tokenizer.encode(f"{AA}AC<EOS>", pad=True)) == 3


def test_an_unknown_character_is_named_with_its_place(tokenizer):
    prompt = f"{AA}MK*LE<EOS>"
    with pytest.raises(UnknownTokenError, match=r"'\*' has no token in alphabet AA") as error:
        tokenizer.encode(prompt)
    assert error.value.where == f"prompt, character {prompt.index('*') + 1}"


def test_lower_case_residues_get_a_hint(tokenizer):
    with pytest.raises(UnknownTokenError, match="did you mean K"):
        tokenizer.encode(f"{AA}Mk<EOS>")


@pytest.mark.parametrize("alphabet", [AA, SMILES])
def test_an_unknown_tag_is_named_with_the_nearest_special_token(tokenizer, alphabet):
    with pytest.raises(UnknownTokenError, match=r"<BBPB> is not a special token.*did you mean <BBBP>"):
        tokenizer.encode(f"{alphabet}<BBPB>CC<EOS>")


def test_unknown_text_becomes_unk_and_a_warning_where_that_is_asked_for(tokenizer):
    with pytest.warns(PromptWarning, match=r"prompt, character 22: '\*' has no token"):
        encoding = tokenizer.encode(f"{AA}M*K<EOS>", on_unknown="warn")
    assert texts(tokenizer, encoding) == ["M", "<UNK>", "K", "<EOS>"]


def test_an_unknown_tag_is_reported_once(tokenizer):
    with pytest.warns(PromptWarning) as caught:
        tokenizer.encode(f"{SMILES}<BBPB>CC<EOS>", on_unknown="warn")
    assert len(caught) == 1
    assert str(caught[0].message).startswith("prompt, character 25: <BBPB> is not a special token")


def test_an_unknown_token_written_out_is_named(tokenizer):
    with pytest.raises(UnknownTokenError, match="<UNK> is written in the prompt"):
        tokenizer.encode(f"{AA}A<UNK><EOS>")


def test_a_misspelt_on_unknown_is_refused(tokenizer):
    with pytest.raises(PromptError, match="use 'raise' or 'warn'"):
        tokenizer.encode(f"{AA}M*K<EOS>", on_unknown="ignore")


def test_an_end_marker_lost_in_truncation_is_warned_of(tokenizer):
    with pytest.warns(PromptWarning, match="<EOS> was cut off"):
        tokenizer.encode(f"{AA}ACDEF<EOS>", max_len=3)
    with pytest.warns(PromptWarning, match="<EOS> was cut off"):
        tokenizer.encode(segment("AA", "ACDE<EOS>", max_len=3))


def test_truncation_that_keeps_the_end_marker_is_silent(tokenizer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoding = tokenizer.encode(segment("AA", "ACDEF", max_len=2) + f"{AA}<EOS>")
    assert texts(tokenizer, encoding) == ["A", "C", "<EOS>"]


def test_text_before_the_first_tag_is_warned_of(tokenizer):
    with pytest.warns(PromptWarning, match="text before the first segment tag is not read: 'junk'"):
        tokenizer.encode(f"junk{AA}A<EOS>")


def test_a_batch_warns_once_a_kind_and_counts(tokenizer):
    with pytest.warns(PromptWarning) as caught:
        tokenizer.encode_batch([f"{AA}ACDEF<EOS>"] * 5, max_len=3)
    assert len(caught) == 1
    assert "in 4 other prompts" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_an_error_in_a_batch_names_the_prompt(tokenizer):
    with pytest.raises(PromptError) as error:
        tokenizer.encode_batch([f"{AA}AC<EOS>", f"{AA}AC"])
    assert error.value.where == "prompts[1]: prompt, character 23"


@pytest.mark.parametrize("ending", ["", "<eos>", "<EOS>C", f"<EOS>{AA}", "<EOS><@TOKENIZER-TYPE=SCALARS_LITERALS>1"])
def test_a_prompt_ends_with_its_end_marker(tokenizer, ending):
    with pytest.raises(PromptError, match="does not end with <EOS>"):
        tokenizer.encode(f"{AA}AC{ending}")


def test_the_end_marker_can_be_waived(tokenizer):
    assert texts(tokenizer, tokenizer.encode(f"{AA}AC", require_eos=False)) == ["A", "C"]


def test_numbers_carry_values(tokenizer):
    encoding = tokenizer.encode(f"<@TOKENIZER-TYPE=SCALARS_LITERALS> 1.5 ,-2e1{AA}A<EOS>")
    assert texts(tokenizer, encoding) == ["<SCALAR>", "<SCALAR>", "A", "<EOS>"]
    assert encoding.values_L.tolist() == [1.5, -20.0, 0.0, 0.0]
    assert encoding.has_value_L.tolist() == [True, True, False, False]


@pytest.mark.parametrize("number", ["nan", "inf", "-Infinity", "1e400", "1e39", "", "x", "0x1", "1 2"])
def test_what_is_no_finite_number_is_refused_with_its_place(tokenizer, number):
    prompt = f"<@TOKENIZER-TYPE=SCALARS_LITERALS>12,{number}{AA}A<EOS>"
    with pytest.raises(PromptError) as error:
        tokenizer.encode(prompt)
    assert error.value.where == f"prompt, character {prompt.index('12,') + 4}"


def test_numbers_come_from_the_sample(tokenizer):
    prompt = f"{AA}A<@TOKENIZER-TYPE=SCALARS_FROM_DICT>descriptors{AA}<EOS>"
    for values in ([1, 2], np.array([1, 2]), np.array([1, 2], dtype=np.float16)):
        encoding = tokenizer.encode(prompt, sample={"descriptors": values})
        assert encoding.values_L[encoding.has_value_L].tolist() == [1.0, 2.0]
        assert encoding.values_L.dtype == np.float32
    of_prompt = tokenizer.encode(Prompt(prompt, sample={"descriptors": [3.0]}))
    assert of_prompt.values_L[of_prompt.has_value_L].tolist() == [3.0]


@pytest.mark.parametrize("values", [3.0, [[1.0]], ["a"], [np.nan], [np.inf], [1e39]])
def test_sample_values_are_one_finite_row(tokenizer, values):
    with pytest.raises(PromptError, match="sample"):
        tokenizer.encode(f"{AA}A<@TOKENIZER-TYPE=SCALARS_FROM_DICT>x{AA}<EOS>", sample={"x": values})


def test_a_missing_sample_key_gets_the_nearest_one(tokenizer):
    with pytest.raises(PromptError, match="did you mean descriptors"):
        tokenizer.encode(f"{AA}A<@TOKENIZER-TYPE=SCALARS_FROM_DICT>descriptor{AA}<EOS>", sample={"descriptors": [1]})


def test_external_embeddings_stand_where_their_tokens_stand(tokenizer):
    prompt = f"{AA}AC<@TOKENIZER-TYPE=EXTERNAL_EMBEDDINGS_FROM_DICT>esm2:k:2{AA}D<EOS>"
    vectors = np.arange(6.0).reshape(2, 3)
    encoding = tokenizer.encode(prompt, sample={"k": vectors})
    assert texts(tokenizer, encoding) == ["A", "C", "<EMBEDDINGS>", "<EMBEDDINGS>", "D", "<EOS>"]
    ((start, name, given),) = encoding.embeddings
    assert (start, name) == (2, "esm2")
    np.testing.assert_array_equal(given, vectors)
    with pytest.warns(PromptWarning):
        cut = tokenizer.encode(prompt, sample={"k": vectors}, max_len=3)
    assert cut.embeddings[0].vectors_XW.tolist() == [[0.0, 1.0, 2.0]]
    with pytest.raises(PromptError, match="shape"):
        tokenizer.encode(prompt, sample={"k": np.zeros((3, 3))})


def test_offsets_point_at_the_characters_that_were_read(tokenizer):
    prompt = f"junk{AA}M K<MASK><@TOKENIZER-TYPE=SCALARS_LITERALS>1.5,-2{SMILES}C[nH]Brc%12<EOS>"
    with pytest.warns(PromptWarning):
        encoding = tokenizer.encode(prompt)
    read = [prompt[start:end] for start, end in encoding.offsets_L2]
    assert read == ["M", "K", "<MASK>", "1.5", "-2", "C", "[nH]", "Br", "c", "%12", "<EOS>"]


def test_offsets_follow_truncation(tokenizer):
    prompt = segment("AA", "MKTAYIAKQR", 4, "RAND") + f"{SMILES}CCO<EOS>"
    encoding = tokenizer.encode(prompt)
    assert "".join(prompt[start:end] for start, end in encoding.offsets_L2) == tokenizer.decode(encoding.ids_L)


def test_half_a_surrogate_pair_is_refused(tokenizer):
    with pytest.raises(PromptError, match="surrogate"):
        tokenizer.encode(f"{SMILES}C\ud800C<EOS>")


def test_an_unknown_alphabet_gets_the_nearest_name(tokenizer):
    with pytest.raises(PromptError, match="did you mean SMILES"):
        tokenizer.encode("<@TOKENIZER-TYPE=SMILE>C<EOS>")


def test_decoding_shows_every_id(tokenizer):
    ids = [*tokenizer.encode(f"{SMILES}CCO<EOS>").ids_L, 499, 10**6]
    assert tokenizer.decode(ids) == "CCO<EOS><@TOKEN_MISSING-499><@TOKEN_MISSING-1000000>"
    assert tokenizer.decode(np.array(ids), skip_special=True) == "CCO"


def test_a_pickled_tokenizer_goes_on_drawing_where_it_stood():
    first = Tokenizer.load()
    first.encode_batch([PROMPTS[1]] * 3)
    second = pickle.loads(pickle.dumps(first))
    ids = [encoding.ids_L.tolist() for encoding in first.encode_batch([PROMPTS[1]] * 5)]
    assert [encoding.ids_L.tolist() for encoding in second.encode_batch([PROMPTS[1]] * 5)] == ids
    assert second.hash == first.hash


def test_an_encoding_is_pickled_with_its_offsets(tokenizer):
    encoding = tokenizer.encode(PROMPTS[0])
    copy = pickle.loads(pickle.dumps(encoding))
    np.testing.assert_array_equal(copy.offsets_L2, encoding.offsets_L2)
    assert len(pickle.dumps(encoding)) < 10_000


def encode_elsewhere(tokenizer: Tokenizer) -> list[int]:
    return tokenizer.encode(PROMPTS[0]).ids_L.tolist()


@pytest.mark.slow
def test_spawned_workers_can_hold_a_tokenizer(tokenizer):
    with get_context("spawn").Pool(1) as pool:
        assert pool.apply(encode_elsewhere, (tokenizer,)) == encode_elsewhere(tokenizer)


def test_threads_read_at_once(tokenizer):
    prompts = [f"{SMILES}{'C' * i}(=O)N{'c' * (i % 7)}<EOS>" for i in range(300)]
    expected = [encoding.ids_L.tolist() for encoding in Tokenizer.load().encode_batch(prompts)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda prompt: tokenizer.encode(prompt).ids_L.tolist(), prompts)) == expected


def test_unknown_text_of_a_rendered_prompt_is_placed_in_the_users_own_value(tokenizer):
    prompt = Template("<MELTING_POINT> {sequence:protein}").render({"sequence": "MKTJAYI"}, target=False)
    with pytest.raises(UnknownTokenError, match=r"^column sequence, character 4: 'J' has no token"):
        tokenizer.encode_batch([prompt])
