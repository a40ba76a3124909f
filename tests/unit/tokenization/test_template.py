"""Templates: what they render, what they refuse, and the messages."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammal.tokenization import Template, Tokenizer
from mammal.tokenization.errors import PromptError
from mammal.tokenization.template import label_code
from mammal.tokenization.template_syntax import VALUE_SLOTS
from mammal.tokenization.value_slots import VALUES, ValueSlot

BBBP = Template("<BBBP><SENTINEL_ID_0> {smiles:smiles}", "<SENTINEL_ID_0> {p_np:label}")
MOLECULE = "<MOLECULAR_ENTITY><MOLECULAR_ENTITY_SMALL_MOLECULE>"
PROTEIN = "<MOLECULAR_ENTITY><MOLECULAR_ENTITY_GENERAL_PROTEIN>"
START, END = "<SEQUENCE_NATURAL_START>", "<SEQUENCE_NATURAL_END>"
SMILES_256, AA_1250 = "<@TOKENIZER-TYPE=SMILES@MAX-LEN=256>", "<@TOKENIZER-TYPE=AA@MAX-LEN=1250>"
AA, LITERALS = "<@TOKENIZER-TYPE=AA>", "<@TOKENIZER-TYPE=SCALARS_LITERALS>"


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.load(None)


def rendered(input, target=None, **values):
    prompt = Template(input, target).render(values, target=target is not None)
    return prompt.input if target is None else prompt.target


def problem(template, **checks):
    with pytest.raises(PromptError) as caught:
        template.lint(**checks)
    return str(caught.value)


def test_a_row_becomes_the_wire_string_of_the_design():
    prompt = BBBP.render({"smiles": "CCO", "p_np": "1"}, target=True)
    assert prompt.input == (
        "<@TOKENIZER-TYPE=SMILES@MAX-LEN=256><BBBP><SENTINEL_ID_0><MOLECULAR_ENTITY><MOLECULAR_ENTITY_SMALL_MOLECULE>"
        "<SEQUENCE_NATURAL_START>CCO<SEQUENCE_NATURAL_END><EOS>"
    )
    assert prompt.target == "<@TOKENIZER-TYPE=AA><SENTINEL_ID_0><1><EOS>"
    assert BBBP.render({"smiles": "CCO"}, target=False).target is None


@pytest.mark.parametrize(
    ("input", "values", "wire"),
    [
        ("{s:SMILES}", {"s": "CC"}, f"<@TOKENIZER-TYPE=SMILES>{START}CC{END}<EOS>"),
        ("{s:smiles@40}", {"s": "CC"}, f"<@TOKENIZER-TYPE=SMILES@MAX-LEN=40>{MOLECULE}{START}CC{END}<EOS>"),
        (
            "<MASK> {t:protein} {s:smiles} <BINDING>",
            {"t": "MKV", "s": "CC"},
            f"{AA_1250}<MASK>{PROTEIN}{START}MKV{END}{SMILES_256}{MOLECULE}{START}CC{END}<BINDING><EOS>",
        ),
        (
            "<QED> {q:scalar} <LOGP> {p:scalar} {s:smiles}",
            {"q": "0.5", "p": "-1e-3", "s": "C"},
            f"{AA}<QED>{LITERALS}0.5{AA}<LOGP>{LITERALS}-1e-3{SMILES_256}{MOLECULE}{START}C{END}<EOS>",
        ),
        ("{s:smiles} {q:scalar}", {"s": "C", "q": "2"}, f"{SMILES_256}{MOLECULE}{START}C{END}{LITERALS}2{AA}<EOS>"),
        ("<LOGP> {p:digits}", {"p": "-1.25"}, f"{AA}<LOGP><-><1><.><2><5><EOS>"),
        (
            "{s:smiles}{s:descriptors}{t:esm2}",
            {"s": "C", "t": "MKV"},
            f"{SMILES_256}{MOLECULE}{START}C{END}<@TOKENIZER-TYPE=EXTERNAL_EMBEDDINGS_FROM_DICT>descriptors:s.descriptors"
            f"<@TOKENIZER-TYPE=EXTERNAL_EMBEDDINGS_FROM_DICT>esm2:t.esm2{AA}<EOS>",
        ),
        ("<MOLECULE_GENERATION>", {}, f"{AA}<MOLECULE_GENERATION><EOS>"),
        ("{ molecule name : iupac }", {"molecule name": "water"}, None),
    ],
)
def test_what_each_slot_renders_as(input, values, wire):
    text = Template(input).render(values, target=False).input
    assert text == wire or (wire is None and START + "water" + END in text)


@pytest.mark.parametrize(
    ("target", "values", "wire"),
    [
        ("{y:scalar}", {"y": "1.25"}, f"{LITERALS}1.25{AA}<EOS>"),
        ("{y:label}", {"y": label_code(7, 120)}, f"{AA}<0><0><7><EOS>"),
        ("{y:label}", {"y": label_code(7, 10)}, f"{AA}<7><EOS>"),
        ("<SENTINEL_ID_0>{a:label}<SENTINEL_ID_1>{b:label}", {"a": "1", "b": "0"},
         f"{AA}<SENTINEL_ID_0><1><SENTINEL_ID_1><0><EOS>"),
        ("<SENTINEL_ID_0>{a:label}<SENTINEL_ID_1>{b:label}", {"a": None, "b": "0"}, f"{AA}<SENTINEL_ID_1><0><EOS>"),
        ("<SENTINEL_ID_0>{a:label}<SENTINEL_ID_1>{b:label}<NOOP>", {"a": "1"}, f"{AA}<SENTINEL_ID_0><1><NOOP><EOS>"),
        ("{s:smiles}", {"s": "CC"}, f"{SMILES_256}{MOLECULE}{START}CC{END}<EOS>"),
    ],
)  # fmt: skip
def test_what_targets_render_as(target, values, wire):
    assert rendered("<NOOP>", target, **values) == wire


def test_a_new_value_slot_is_one_entry(monkeypatch, tokenizer):
    monkeypatch.setitem(VALUES, "sign", ValueSlot("[+-]", "a sign", ("<+>", "<->"), sample="+"))
    monkeypatch.setitem(VALUE_SLOTS, "sign", "sign")
    template = Template("<LOGP> {s:sign} {d:smiles}", "<SENTINEL_ID_0> {y:sign}")
    template.lint(tokenizer=tokenizer)
    assert template.samples == {"s": "+", "d": "C", "y": "+"}
    prompt = template.render({"s": "-", "d": "C", "y": "+"}, target=True)
    assert prompt.input == f"{SMILES_256}<LOGP><->{MOLECULE}{START}C{END}<EOS>"
    assert prompt.target == f"{AA}<SENTINEL_ID_0><+><EOS>"
    with pytest.raises(PromptError, match="'7' is not a sign"):
        template.render({"s": "7", "d": "C"}, target=False)


def test_a_row_without_any_label_is_refused():
    with pytest.raises(PromptError, match="no value for any slot of the target"):
        rendered("<NOOP>", "<SENTINEL_ID_0>{a:label}")


def test_raw_templates_are_reproduced_byte_for_byte():
    wire = "<@TOKENIZER-TYPE=AA> <MASK>\t{t}<@TOKENIZER-TYPE=SMILES@MAX-LEN=256>{d}<EOS>"
    template = Template(wire, "<@TOKENIZER-TYPE=AA><SENTINEL_ID_0><{y}><EOS>", raw=True)
    prompt = template.render({"t": " MKV", "d": "CC>>CO", "y": "1"}, target=True)
    assert prompt.input == wire.replace("{t}", " MKV").replace("{d}", "CC>>CO")
    assert prompt.target == "<@TOKENIZER-TYPE=AA><SENTINEL_ID_0><1><EOS>"
    slots = [(slot.column, slot.kind) for slot in Template("{y:label}{z:scalar}{a}{b:c}", raw=True).slots]
    assert slots == [("y", "label"), ("z", "scalar"), ("a", "text"), ("b:c", "text")]


def test_offsets_lead_back_to_the_users_value(tokenizer):
    template = Template("<MASK> {t:protein} {s:smiles}", "{y:label}")
    values = {"t": "MKVL", "s": "C[C@@H](Br)Cl", "y": "0"}
    prompt = template.render(values, target=True)
    encoding = tokenizer.encode(prompt)
    spans = [prompt.value_span(*offset) for offset in encoding.offsets_L2.tolist()]
    for column in ("t", "s"):
        found = [values[column][start:end] for name, start, end in filter(None, spans) if name == column]
        assert "".join(found) == values[column]
    assert ("s", 1, 7) in spans
    start = prompt.target.index("<0>")
    assert prompt.value_span(start, start + 3, "target") == ("y", 0, 3)


@pytest.mark.parametrize("value", ["<EOS>", "CC<MASK>", "<@TOKENIZER-TYPE=AA>MKV", "<@TOKENIZER-TYPE=AA", "<FOO>"])
def test_data_never_becomes_syntax(value):
    with pytest.raises(PromptError, match="column 'smiles'"):
        BBBP.render({"smiles": value}, target=False)
    raw = Template("<@TOKENIZER-TYPE=SMILES>{smiles}<EOS>", raw=True)
    with pytest.raises(PromptError, match="column 'smiles'"):
        raw.render({"smiles": value}, target=False)


@pytest.mark.parametrize(
    ("wire", "values"),
    [
        ("<@TOKENIZER-TYPE=AA><{y}><EOS>", {"y": "0><EOS"}),
        ("<@TOKENIZER-TYPE=AA><SENTINEL_ID_{y}>A<EOS>", {"y": "0><EOS"}),
        ("<@TOKENIZER-TYPE=AA>{x}{y}<EOS>", {"x": "<EO", "y": "S>"}),
    ],
)
def test_values_of_raw_templates_do_not_complete_a_tag(wire, values):
    with pytest.raises(PromptError, match="is inside a tag"):
        Template(wire, raw=True).render(values, target=False)


@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20))
def test_a_value_is_either_refused_or_read_back_whole(tokenizer, value):
    template = Template("<IUPAC_TO_SMILES> {name:iupac}")
    try:
        prompt = template.render({"name": value}, target=False)
    except PromptError:
        return
    ids = tokenizer.encode(prompt).ids_L
    around = template.render({"name": "x"}, target=False).input
    text = tokenizer.decode(ids)
    assert text == around.replace(START + "x", START + value)[around.index(">") + 1 :]


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("smiles", "", "the value is empty"),
        ("smiles", None, "the row has no value"),
        ("scalar", "nan", "not a finite number"),
        ("scalar", "1,2", "not a finite number"),
        ("scalar", "inf", "not a finite number"),
        ("digits", "1e5", "not a plain decimal number"),
    ],
)
def test_values_of_the_wrong_form_are_refused(kind, value, message):
    with pytest.raises(PromptError, match=f"column 'x': .*{message}"):
        Template(f"{{x:{kind}}}").render({"x": value}, target=False)


@pytest.mark.parametrize(
    ("input", "message"),
    [
        ("{smiles:smile}", "character 1: unknown entity 'smile' of column 'smiles' (did you mean smiles"),
        ("<A> {smiles}", "character 5: {smiles} does not specify what the column contains"),
        ("{:smiles}", "does not specify what the column contains"),
        ("{}", "character 1: a slot without a column"),
        ("{s:smiles", "character 1: '{' without its '}'"),
        ("s:smiles}", "'}' without its '{'"),
        ("<BBBP {s:smiles}", "character 1: '<BBBP' is not a whole tag"),
        ("BBBP> {s:smiles}", "'>' is not a whole tag"),
        ("read {s:smiles}", "the text 'read' is neither a tag nor a slot"),
        ("<@TOKENIZER-TYPE=AA>{s:AA}", "wire syntax"),
        ("{y:scalar@5}", "'scalar' takes no length"),
        ("", "the template is empty"),
        ("<MASK> {y:label}", "is a label, which the model must not read"),
    ],
)
def test_malformed_templates_say_where_and_what(input, message):
    assert message in problem(Template(input))


def test_a_malformed_template_renders_nothing():
    with pytest.raises(PromptError, match="unknown entity 'smile'"):
        Template("{s:smile}").render({"s": "C"}, target=False)


def test_all_problems_are_reported_at_once(tokenizer):
    text = problem(
        Template("<BBPB> {smile:smiles} {t:protien}", "<SENTINEL_ID_0> {y:label} {d:descriptors}"),
        columns=["smiles", "y", "t", "d"], tokenizer=tokenizer, labels=[],
    )  # fmt: skip
    assert "character 1: the tokenizer has no tag <BBPB> (did you mean <BBBP>" in text
    assert "character 8: the data has no column 'smile' (did you mean smiles?)" in text
    assert "unknown entity 'protien' of column 't' (did you mean protein" in text
    assert "0 labels are declared" in text
    assert "'descriptors' of column 'd' can be read but not predicted" in text
    assert text.startswith("5 problems in the prompt template")


def test_slots_that_this_tokenizer_cannot_write_are_named(shared):
    published = Tokenizer.load(shared / "compat/fixtures/tokenizer_modular/tokenizer")
    text = problem(Template("{d:dna} {n:digits} {t:esm2}"), tokenizer=published)
    assert "written in the alphabet DNA, which the tokenizer lacks" in text
    assert "tags that the tokenizer lacks: <MOLECULAR_ENTITY_DNA>" in text
    assert "<-> <+>" in text
    assert "<EMBEDDINGS>" in text
    Template("{p:protein}{s:smiles}{x:scalar}{c:cell_attributes}").lint(tokenizer=published)


@pytest.mark.parametrize(
    "input, says",
    [
        ("{s:dna} {s:esm2}", "'esm2' is computed from proteins, and column 's' is written as 'dna'"),
        ("{s:esm2} {s:smiles}", "'esm2' is computed from proteins, and column 's' is written as 'smiles'"),
        ("{s:protein} {s:descriptors}", "'descriptors' is computed from molecules"),
        ("{s:IUPAC} {s:morgan}", "'morgan' is computed from molecules, and column 's' is written as 'IUPAC'"),
    ],
)
def test_features_of_what_they_can_not_read_are_refused(input: str, says: str):
    assert says in problem(Template(input))


def test_features_of_what_they_read_pass():
    Template("{s:smiles}{s:morgan}{p:peptide}{p:esm2}{q:AA}{q:esm2}{alone:esm2}{m:molecule}{m:descriptors}").lint()


def test_answers_must_not_stand_in_the_input():
    template = Template("{s:smiles} <LOGP> {y:scalar}", "{y:scalar}")
    assert "is in the input and also in the target" in problem(template)


def test_labels_are_needed_where_asked_for():
    template = Template("{s:smiles}", "{a:label} {b:label}")
    template.lint(labels=["no", "yes"])
    template.lint(labels={"a": ["no", "yes"], "b": ["0", "1"]})
    assert "column 'b' is a label, but 1 labels are declared" in problem(template, labels={"a": ["0", "1"], "b": ["0"]})


def test_the_encoder_needs_one_mask_for_each_answer():
    Template("<MASK><MASK> {s:smiles}", "{a:scalar}{b:scalar}").lint(mode="encoder")
    text = problem(Template("<MASK> {s:smiles}", "{a:scalar}{b:scalar}"), mode="encoder")
    assert "answers 2 slots at 1 <MASK>" in text


@pytest.mark.parametrize(
    ("input", "message"),
    [
        ("<@TOKENIZER-TYPE=AA@MAXLEN=3>{t}<EOS>", "unknown attribute 'MAXLEN=3'"),
        ("junk<@TOKENIZER-TYPE=AA>{t}<EOS>", "must begin with a segment tag"),
        ("<@TOKENIZER-TYPE=AA>{t}", "must end with <EOS>"),
        ("<@TOKENIZER-TYPE=AAA>{t}<EOS>", "character 1: the tokenizer has no alphabet 'AAA' (did you mean AA"),
        ("<@TOKENIZER-TYPE=AA>{t}<BBPB><EOS>", "character 24: the tokenizer has no tag <BBPB>"),
        ("<@TOKENIZER-TYPE=AA>{t:protein}<EOS>", "a raw template has no 'protein' slots"),
        ("<@TOKENIZER-TYPE=AA>{t<EOS>", "'{' without its '}'"),
        ("<@TOKENIZER-TYPE=SCALARS_MASKED>{t}<EOS>", "there is no segment type"),
    ],
)
def test_raw_templates_are_linted_too(tokenizer, input, message):
    assert message in problem(Template(input, raw=True), tokenizer=tokenizer)


def test_columns_are_listed_once_in_order():
    template = Template("{s:smiles} {s:descriptors} {t:protein}", "{y:label}")
    assert template.columns() == ["s", "t", "y"]
    assert template.columns("input") == ["s", "t"]
    assert template.columns("target") == ["y"]


def test_a_template_can_be_sent_to_another_process():
    BBBP.render({"smiles": "C"}, target=False)
    assert pickle.loads(pickle.dumps(BBBP)) == BBBP
