"""The fields of a request of each verb. They have the names and meanings of the arguments of `mammal.Mammal`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, create_model, model_validator

from mammal.explanation.gradients import MOST_STEPS, STEPS, TOLERANCE
from mammal.generation.settings import Settings
from mammal.jobs.names_job import KEEP
from mammal.jobs.properties_job import PROPERTIES
from mammal.service.drawing import MOST
from mammal.tasks.declaration.generation_settings import SETTINGS

Cell = str | int | float | bool | None
"""A value of a row."""

Data = Annotated[
    list[dict[str, Cell] | Cell] | None,
    Field(description="rows as objects with the columns of the task, or a list of values if it reads one column"),
]
Csv = Annotated[str | None, Field(description="a table as text, with a header line, in place of data")]
Task = Annotated[str | None, Field(description="name of a task; default: the only one")]
Columns = Annotated[
    dict[str, str] | str | None,
    Field(description="your names of columns: {column of the task: your column}, or one name"),
]
View = Annotated[str | dict[str, str] | None, Field(description="form of a value, if the task has several: iupac")]
Prefix = Annotated[str, Field(description="text before the names of the added columns", max_length=64)]


class Rows(BaseModel):
    """Rows that are answered."""

    model_config = ConfigDict(extra="forbid", title="Rows")

    data: Data = None
    csv: Csv = None

    def fields(self, *, csv: bool = False) -> dict[str, Any]:
        """Returns the fields with their defaults.

        Args:
            csv: the answer is written as CSV.
        """
        return self.model_dump()


class TaskRows(Rows):
    """Rows that are answered with a task."""

    task: Task = None
    columns: Columns = None
    view: View = None


class PredictRequest(TaskRows):
    """Predict labels or numbers for every row, in the units of the training data."""

    names: Annotated[str | None, Field(description="column of IUPAC names, for rows without a SMILES")] = None
    names_by: Annotated[Literal["auto", "opsin", "model"], Field(description="what reads the names")] = "auto"
    name_warning: Annotated[bool, Field(description="also answer names that OPSIN is not sure about")] = False
    every_label: Annotated[bool, Field(description="classification: a probability for each label")] = False
    standardised: Annotated[bool, Field(description="add each molecule as the model read it, and its changes")] = False
    vocabulary: Annotated[bool, Field(description="classification: probability over all tokens")] = False
    prefix: Prefix = ""


class EmbedRequest(TaskRows):
    """Compute one vector for every row."""

    entity: Annotated[str | None, Field(description="kind of the values in place of a task: smiles, protein, dna")] = (
        None
    )
    pooling: Annotated[str, Field(description="mean, max, first, or none: one vector per token")] = "mean"
    normalize: Annotated[bool, Field(description="scale each vector to length 1")] = False
    prefix: Prefix = ""


class ScoreRequest(TaskRows):
    """Compute the log-likelihood of the target of every row."""

    targets: Annotated[list[Cell] | None, Field(description="one target for each row, if the rows have none")] = None
    prefix: Prefix = ""


class _GenerateBase(TaskRows):
    """Generate sequences for every row, or from conditions alone."""

    n: Annotated[int, Field(description="sequences for each row", ge=1)] = 1
    conditions: Annotated[dict[str, Cell] | None, Field(description="requested values, the same for all rows")] = None
    seed: Annotated[int, Field(description="seed of sampling")] = 0
    rerank: Annotated[str | None, Field(description="task of the bundle that orders the answers")] = None
    rerank_weight: Annotated[float | None, Field(description="weight of the re-ranking task")] = None
    prefix: Prefix = ""


def _setting(name: str, kind: Any) -> tuple[Any, None]:
    return Annotated[kind, Field(description=SETTINGS[name].use.help)], None


_SETTINGS: dict[str, Any] = {name: _setting(name, kind) for name, kind in get_type_hints(Settings).items()}

GenerateRequest = create_model(
    "GenerateRequest", __base__=_GenerateBase, __doc__=_GenerateBase.__doc__, __module__=__name__, **_SETTINGS
)


class ExplainRequest(TaskRows):
    """Compute how much each atom, residue, base or token of a row contributes to its prediction."""

    method: Annotated[
        Literal["integrated_gradients", "occlusion"],
        Field(description="integrated_gradients: parts sum to output minus baseline; occlusion: parts are masked"),
    ] = "integrated_gradients"
    target: Annotated[str | None, Field(description="target column of a task with several")] = None
    label: Annotated[
        str | None, Field(description="label that is explained; default: the positive one of two, else the predicted")
    ] = None
    baseline: Annotated[Literal["mask", "pad"], Field(description="token that replaces the values of the row")] = "mask"
    steps: Annotated[int, Field(description="steps of the integral at first", ge=1, le=MOST_STEPS)] = STEPS
    tolerance: Annotated[float, Field(description="largest error of the sum of a row's parts", gt=0, le=1)] = TOLERANCE
    fragments: Annotated[
        Literal["groups", "brics", "atom"], Field(description="occlusion of molecules: what is masked together")
    ] = "groups"
    window: Annotated[
        int | None, Field(description="occlusion of sequences: residues, bases or tokens masked together", ge=1)
    ] = None
    every_token: Annotated[bool, Field(description="parts are tokens, not atoms, residues and bases")] = False
    long: Annotated[bool | None, Field(description="one row for each part; default: only if the answer is CSV")] = None
    prefix: Prefix = ""

    def fields(self, *, csv: bool = False) -> dict[str, Any]:
        return self.model_dump() | {"long": csv if self.long is None else self.long}


class PropertiesRequest(Rows):
    """Compute molecular weight, logP, QED and other properties of molecules with RDKit."""

    properties: Annotated[list[str], Field(description="names of properties", min_length=1)] = list(PROPERTIES)
    smiles: Annotated[str | None, Field(description="column of the structures; default: smiles")] = None
    prefix: Prefix = ""


class NamesRequest(Rows):
    """Name molecules in IUPAC nomenclature and read each name back, or check names that you give."""

    smiles: Annotated[str | None, Field(description="column of the structures; default: smiles")] = None
    names: Annotated[str | None, Field(description="column of names to check; default: names are generated")] = None
    keep: Annotated[str, Field(description=f"which names are answers: {', '.join(KEEP)}")] = "exact"
    prefix: Prefix = ""


REQUESTS: dict[str, type[Rows]] = {
    "predict": PredictRequest,
    "generate": GenerateRequest,
    "embed": EmbedRequest,
    "score": ScoreRequest,
    "explain": ExplainRequest,
    "properties": PropertiesRequest,
    "names": NamesRequest,
}
"""Verb -> the fields of its requests."""

OF_MODEL = ("predict", "generate", "embed", "score", "explain")
"""Verbs that the model answers. RDKit and the package of names answer the others."""


class DrawRequest(BaseModel):
    """Draw molecules as SVG, with coloured atoms if the request has the attributions of an explanation."""

    model_config = ConfigDict(extra="forbid")
    smiles: Annotated[list[str], Field(description="SMILES", max_length=MOST)]
    attribution: Annotated[
        list[list[FiniteFloat | None]] | None,
        Field(description="for each molecule one number for each atom, in the order of the SMILES"),
    ] = None
    largest: Annotated[
        FiniteFloat | None, Field(description="number with the strongest colour; default: of each molecule", gt=0)
    ] = None
    unit: Annotated[str, Field(description="what the numbers are, for the legend", max_length=200)] = ""

    @model_validator(mode="after")
    def _one_for_each(self) -> DrawRequest:
        if self.attribution is not None and len(self.attribution) != len(self.smiles):
            raise ValueError(f"attribution has {len(self.attribution)} lists for {len(self.smiles)} molecules")
        return self
