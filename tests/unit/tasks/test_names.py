"""Names of molecules: restored capitals, names read back, and names that can't be read."""

from __future__ import annotations

import pytest

from mammal.tasks.errors import DataError
from mammal.tasks.names import make_pairs, name_of, naming, opsin, structure_of
from mammal.tasks.names.case import components, restored
from mammal.tasks.names.roundtrip import compare_molecules
from mammal.tasks.names.structures import read_structures

needs_opsin = pytest.mark.skipif(
    opsin.why_missing() is not None, reason=f"names can't be read here: {opsin.why_missing()}"
)


@pytest.fixture
def openclatura() -> None:
    pytest.importorskip("openclatura", reason="openclatura is not installed (extra iupac)")


@pytest.mark.parametrize(
    ("stored", "meant"),
    [
        ("n-(4-hydroxyphenyl)acetamide", "N-(4-hydroxyphenyl)acetamide"),
        ("n,n,n',n'-tetramethylethane-1,2-diamine", "N,N,N',N'-tetramethylethane-1,2-diamine"),
        ("(2s,3r)-3-methylpentan-2-ol", "(2S,3R)-3-methylpentan-2-ol"),
        ("(4as,6ar)-x", "(4aS,6aR)-x"),
        ("(3s,3'r,3'as,7'ar)-x", "(3S,3'R,3'aS,7'aR)-x"),
        ("(z)-but-2-enedioic acid", "(Z)-but-2-enedioic acid"),
        ("(ne)-n-benzylidenehydroxylamine", "(NE)-N-benzylidenehydroxylamine"),
        ("7h-purin-6-amine", "7H-purin-6-amine"),
        ("1h-indol-3(2h)-one", "1H-indol-3(2H)-one"),
        ("o,o-diethyl o-(4-nitrophenyl) phosphorothioate", "O,O-diethyl O-(4-nitrophenyl) phosphorothioate"),
        ("s-methyl ethanethioate", "S-methyl ethanethioate"),
        ("(14c)methane", "(14C)methane"),
        ("dibenzo-p-dioxin", "dibenzo-p-dioxin"),
        ("2,4,6-trichloro-s-triazine", "2,4,6-trichloro-s-triazine"),
        ("naphtho[2,1-b]thiophene", "naphtho[2,1-b]thiophene"),
        ("propan-2-ol", "propan-2-ol"),
        ("N-ethyl-N-methylaniline", "N-ethyl-N-methylaniline"),
        ("sodium;4-nitrobenzoate", "sodium 4-nitrobenzoate"),
        ("diazanium;sulfate", "diammonium sulfate"),
        ("tricalcium;diphosphate", "tricalcium bis(phosphate)"),
    ],
)
def test_capitals_are_restored(stored: str, meant: str):
    assert restored(stored) == meant
    assert restored(restored(stored)) == meant


def test_components_keep_their_own_spelling():
    assert components("diazanium; n-methylsulfamate;") == ["diazanium", "N-methylsulfamate"]


@needs_opsin
def test_an_unreadable_name_shifts_no_other_answer():
    names = [
        "methanol",
        "no such thing",
        "",
        "ethane\nthiol",
        "ethanol\tno such thing",
        " propan-2-ol ",
        "x" * 2_000,
        "butane",
    ]
    readings = opsin.read_names(names)
    assert [reading.smiles for reading in readings] == ["CO", None, None, None, None, "CC(C)O", None, "CCCC"]
    assert all(reading.reason for reading in readings if reading.smiles is None)
    assert "no such thing" in (readings[1].reason or "")


@needs_opsin
def test_names_that_break_java_off_leave_the_rest_readable(monkeypatch: pytest.MonkeyPatch):
    ask = opsin._ask

    def broken(command: list[str], texts: list[str]) -> list[opsin.OpsinAnswer]:
        if "ethanol" in texts and len(texts) > 1:
            before = texts[: texts.index("ethanol")]
            return [*ask(command, before), opsin.OpsinAnswer(None, "OPSIN broke off at it")]
        return ask(command, texts)

    monkeypatch.setattr(opsin, "_ask", broken)
    readings = opsin.read_names(["methanol", "ethanol", "propane", "butane"])
    assert [reading.smiles for reading in readings] == ["CO", None, "CCC", "CCCC"]


def test_finished_answers_count_when_java_is_cut_off():
    output = b"Run the jar using the -h flag\nC(C)O\tethanol\nfoo is unparsable\n\tfoo\nCC(C"
    readings, messages = opsin._readings(output)
    assert readings == [opsin.OpsinAnswer("C(C)O"), opsin.OpsinAnswer(None, "foo is unparsable")]
    assert messages == []


DOUBTS = [
    ("chlorotoluene", "ClCc1ccccc1", "APPEARS_AMBIGUOUS"),
    ("1-chloro-2-methylbutane", "CCC(C)CCl", None),
    ("phenol sodium salt", "Oc1ccccc1.[Na]", "neutral atom"),
    ("acetic acid sodium salt", "CC(=O)[O-].[Na+]", None),
    ("rac-(2R,3R)-butane-2,3-diol", "C[C@@H](O)[C@@H](C)O", "racemate"),
    ("DL-alanine", "C[C@H](N)C(=O)O", "racemate"),
    ("(2R*,3S*)-butane-2,3-diol", "C[C@H](O)[C@@H](C)O", "relative"),
    ("(2R,3R)-butane-2,3-diol", "C[C@@H](O)[C@@H](C)O", None),
    ("methane [german]", "C", "left out [german]"),
    ("ethanol (German)", "CCO", "left out (German)"),
    ("ethanol;ethyl alcohol", "CCO.CCO", "synonyms"),
    ("propan-1-ol;propan-2-ol", "CC(C)O.CCCO", "synonyms"),
    ("aniline;hydrochloride", "Cl.Nc1ccccc1", None),
    ("diazanium;sulfate", "O=S(=O)([O-])[O-].[NH4+].[NH4+]", None),
    ("ethanol\nmethanol", "CCO.CO", "line break"),
    ("ethanol\tmethanol", "CCO.CO", "line break"),
    ("phenol titanium salt", "Oc1ccccc1.[Ti]", "neutral atom"),
    ("acetic acid;sodium", "CC(=O)O.[Na]", "neutral atom"),
    ("nickel", "[Ni]", None),
    ("3-oxido-3-oxopropanoic acid", "O=C([O-])CC(=O)O", None),
    ("trimethylsilicon", "C[Si](C)C", None),
    ("monobutyl succinate", "CCCCOC(=O)CCC(=O)[O-]", "charge -1"),
    ("butanedioic acid, monobutyl ester", "CCCCOC(=O)CCC(=O)[O-]", "charge -1"),
    ("hydrogen sulfate", "O=S(=O)([O-])O", None),
    ("neodymium(3+); oxygen(2-); titanium(4+)", "[Nd+3].[O-2].[Ti+4]", "charge +5"),
    ("dichloroethylaluminum", "[Al][CH2]C(Cl)Cl", "open valence"),
    ("2-aminobenzoic acid, sodium salt (1:?)", "Nc1ccccc1C(=O)[O-].[Na+]", "ratio"),
    ("trans-cyclohexane-1,2-diol", "O[C@@H]1CCCC[C@H]1O", "relative"),
    ("cis-cyclohexane-1,2-diol", "O[C@@H]1CCCC[C@@H]1O", None),
    ("trans-1,4-dimethylcyclohexane", "C[C@H]1CC[C@H](C)CC1", None),
    ("cis-4-hydroxy-D-proline", "O=C(O)[C@H]1C[C@@H](O)CN1", None),
]
"""A name, what OPSIN reads, and a word of the doubt about it; None: there is none."""


@pytest.fixture(scope="module")
def doubtful() -> dict[str, tuple[str | None, str | None, str | None]]:
    """Name -> its structure with doubts kept, its warning, and its structure without doubts; Java starts for all."""
    names = [name for name, _, _ in DOUBTS]
    warnings = [answer.warning for _, answer in read_structures(names)]
    found = zip(structure_of(names, keep_doubtful=True), warnings, structure_of(names), strict=True)
    return dict(zip(names, found, strict=True))


@needs_opsin
@pytest.mark.parametrize(("name", "read", "doubt"), DOUBTS)
def test_doubts_of_opsin_come_with_the_answer(doubtful, name: str, read: str, doubt: str | None):
    """OPSIN 2.9 writes its doubts beside answers, or into extended SMILES, or not at all."""
    kept, warning, sure = doubtful[name]
    assert kept == read and (warning is None) == (doubt is None)
    assert doubt is None or doubt in (warning or "")
    assert sure == (None if doubt else read)


@needs_opsin
def test_a_pair_of_an_ambiguous_name_is_not_exact():
    (pair,) = make_pairs(["ClCc1ccccc1"], ["chlorotoluene"])
    assert pair.outcome == "doubtful" and "AMBIGUOUS" in (pair.reason or "")


@needs_opsin
def test_structure_of_names():
    assert structure_of("propan-2-ol") == ["CC(C)O"]
    assert structure_of(["(2s)-2-chlorobutane", "ethyl", "no such thing"]) == ["CC[C@H](C)Cl", None, None]
    assert structure_of("n-(4-hydroxyphenyl)acetamide", restore_case=False) == [None]
    assert structure_of([]) == []


@needs_opsin
def test_a_locant_that_lost_its_capital_is_not_read_as_normal():
    assert structure_of(["n-propylethanamide", "n-hexane"]) == ["CCCNC(C)=O", "CCCCCC"]


@needs_opsin
def test_ortho_and_para_that_never_had_a_capital_stay_ortho_and_para():
    names = ["o-methylphenol", "p-aminophenol", "o-hydroxybenzoic acid", "o-nitrophenol", "o-aminophenol;hydrochloride"]
    meant = ["Cc1ccccc1O", "Nc1ccc(O)cc1", "O=C(O)c1ccccc1O", "O=[N+]([O-])c1ccccc1O", "Cl.Nc1ccccc1O"]
    assert structure_of(names) == meant
    assert structure_of(["o-methylhydroxylamine", "O-methylphenol"]) == ["CON", "COc1ccccc1"]
    assert structure_of("o,o-diethyl o-(4-nitrophenyl) phosphorothioate") == structure_of(
        "O,O-diethyl O-(4-nitrophenyl) phosphorothioate"
    )


@needs_opsin
def test_an_acid_and_its_chloride_salt_stay_apart():
    assert structure_of("1-benzylpyridin-1-ium-3-carboxylic acid;chloride") == [
        "O=C(O)c1ccc[n+](Cc2ccccc2)c1.[Cl-]",
    ]


@needs_opsin
def test_atoms_in_the_order_of_the_name():
    name = "4-(4-ethoxyphenyl)benzenecarbonitrile"
    assert structure_of(name, by_name=True) == ["C(C)Oc1ccc(-c2ccc(C#N)cc2)cc1"]
    assert structure_of(name) == ["CCOc1ccc(-c2ccc(C#N)cc2)cc1"]


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ("OCC", "CCO", "exact"),
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "stereo"),
        ("F/C=C/F", "FC=CF", "stereo"),
        ("Oc1ccccn1", "O=c1cccc[nH]1", "tautomer"),
        ("CC(=O)[O-]", "CC(=O)O", "charge"),
        ("CCO", "CCCO", "other"),
        ("[2H]OC", "OC", "isotope"),
        ("[13CH4]", "C", "isotope"),
        ("[13CH3][C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "isotope"),
        ("[13CH3][C@H](N)C(=O)O", "[13CH3][C@@H](N)C(=O)O", "stereo"),
    ],
)
def test_how_far_two_structures_are_the_same(first: str, second: str, outcome: str):
    assert compare_molecules(first, second) == compare_molecules(second, first) == outcome


@needs_opsin
def test_outcomes_of_given_names():
    smiles = ["CC(=O)Nc1ccc(O)cc1", "C[C@@H](O)CC", "CCO", "CCO", "CCO", "C1CC"]
    names = ["n-(4-hydroxyphenyl)acetamide", "butan-2-ol", "propan-1-ol", "no such thing", "", "ethanol"]
    pairs = make_pairs(smiles, names)
    assert [pair.outcome for pair in pairs] == ["exact", "stereo", "other", "unread", "unnamed", "invalid"]
    assert pairs[0].name == "N-(4-hydroxyphenyl)acetamide"
    assert pairs[0].smiles_by_name == "Oc1ccc(NC(C)=O)cc1"
    assert all(pair.smiles_by_name is None and pair.reason for pair in pairs[1:])


@needs_opsin
@pytest.mark.usefixtures("openclatura")
def test_made_names_lead_back():
    molecules = ["CCOc1ccc(cc1)-c1ccc(cc1)C#N", "F/C=C/F", "C[C@H](N)C(=O)O", "[Fe]", "not a molecule"]
    pairs = make_pairs(molecules)
    assert [pair.outcome for pair in pairs] == ["exact", "exact", "exact", "unnamed", "invalid"]
    assert pairs[0].smiles_by_name == "C(C)Oc1ccc(-c2ccc(C#N)cc2)cc1"


@pytest.mark.usefixtures("openclatura")
def test_name_of_molecules_in_any_order_of_atoms(monkeypatch: pytest.MonkeyPatch):
    assert name_of(["CC(C)O", "OC(C)C", "C1CC", ""]) == ["propan-2-ol", "propan-2-ol", None, None]
    monkeypatch.setattr(naming, "MAX_ATOMS", 3)
    assert naming.name_molecule("CC(C)O").reason == "4 atoms, more than 3"


@pytest.mark.usefixtures("openclatura")
def test_a_molecule_that_takes_too_long_is_an_outcome(monkeypatch: pytest.MonkeyPatch):
    import openclatura

    def endless(smiles: str) -> str:
        while True:
            try:
                sum(range(1_000))
            except Exception:
                raise AssertionError("swallowed") from None

    monkeypatch.setattr(openclatura, "name_smiles", endless)
    monkeypatch.setattr(naming, "SECONDS", 0.05)
    assert naming.name_molecule("CCO").reason == "naming takes more than 0 s"


@pytest.mark.usefixtures("openclatura")
def test_what_goes_wrong_in_openclatura_is_a_reason(monkeypatch: pytest.MonkeyPatch):
    import openclatura

    def failing(smiles: str) -> str:
        raise KeyError("locant")

    monkeypatch.setattr(openclatura, "name_smiles", failing)
    assert naming.name_molecule("CCO") == naming.Naming(None, "KeyError: 'locant'")


def test_without_java_reading_names_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(opsin.shutil, "which", lambda name: None)
    monkeypatch.setattr(opsin, "find_jar", lambda: "opsin.jar")
    with pytest.raises(DataError, match="Java") as reported:
        structure_of("ethanol")
    assert "OpenJDK" in (reported.value.hint or "")
    assert structure_of([]) == []


def test_without_the_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    for module in (opsin, naming):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(DataError) as read:
        opsin.find_jar()
    with pytest.raises(DataError) as made:
        name_of("CCO")
    assert "mammal[iupac]" in (read.value.hint or "") and "mammal[iupac]" in (made.value.hint or "")


@pytest.mark.usefixtures("openclatura")
@pytest.mark.parametrize(
    ("smiles", "lost"),
    [
        ("[13CH4]", "isotope"),
        ("[2H]OC", "isotope"),
        ("C[CH2]", "radical"),
        ("CC[CH+]C", "charge on carbon"),
        ("C1=CC=C[CH+]C=C1", "charge on carbon"),
        ("C#[C-]", "carbanion"),
        ("CC(C)=[OH+]", "proton on oxygen"),
        ("O=P([O-])([O-])O", "lost some of its protons"),
        ("O=C([O-])O", "lost some of its protons"),
        ("CC(=O)O[Na]", "metal bound to oxygen"),
    ],
)
def test_what_openclatura_leaves_out_gets_no_name(smiles: str, lost: str):
    """openclatura 0.4.3 names these as another substance: methane, ethane, butane, phosphoric acid ..."""
    named = naming.name_molecule(smiles)
    assert named.name is None and lost in (named.reason or "")


@pytest.mark.usefixtures("openclatura")
@pytest.mark.parametrize(
    "smiles", ["CC(=O)[O-].[Na+]", "O=S(=O)([O-])[O-].[NH4+].[NH4+]", "[C-]#N", "C[N+](C)(C)C", "OP(O)(O)=O"]
)
def test_what_openclatura_writes_in_full_keeps_its_name(smiles: str):
    assert naming.name_molecule(smiles).name
