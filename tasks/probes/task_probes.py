"""The probes of a task: one fitted probe for each target column, and their stored form.

Shapes: B rows of a batch, N rows, F entries of a row's vector (`mammal.tasks.probes.reader`), P stored points, K target
columns, C classes.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mammal.tasks.batches.batch import Batch, ModelOutput
from mammal.tasks.errors import TaskError
from mammal.tasks.metrics.registry import metric_named
from mammal.tasks.probes.candidates import Candidate, candidates
from mammal.tasks.probes.choice_record import Choice
from mammal.tasks.probes.choose import chosen, fitted_again, log_probabilities
from mammal.tasks.probes.points import SPARSE, CompactPoints
from mammal.tasks.probes.probe import Probe, Standard
from mammal.tasks.probes.reader import DNA_FEATURES, RowReader
from mammal.tasks.probes.site import FLANK
from mammal.tasks.probes.target import ProbeTarget, check_rows, of_all_rows
from mammal.tokenization.lazy import old_names

if TYPE_CHECKING:
    from mammal.tasks.prompts.row_prompts import RowPrompts

TRAIN, ALL = "train", "all"
FITTED_ON = (TRAIN, ALL)
"""On which rows the probes of a bundle are fitted."""

_STORED_OVERHEAD = 4_000
"""Bytes of names and small arrays in a file of probes, at most."""


class TaskProbes:
    """The probes of one task.

    Args:
        task: the task.
        features: names of features that the probes read in addition to the states, of the first molecule or DNA
            sequence.
        site: whether the probes read the states at the site of the first variant (`mammal.tasks.probes.site`).

    Attributes:
        reader: encodes rows for the probes.
        probes: fitted probe by target column. Empty before `fit`.
        choices: how each of them was chosen.
        fitted_on: `train`: the training rows, or `all`: the rows of all parts of the split.
        strands: 2 if the probes were fitted on each row and its reverse complement, else 1. Predictions read the strand
            as written.

    Raises:
        TaskError: the task reads no molecule or DNA, or a feature does not exist.
    """

    def __init__(self, task: RowPrompts, features: Sequence[str] = (), *, site: bool = False):
        self.task = task
        self.reader = RowReader(task, features, site=site)
        self.strands = 1
        self.probes: dict[str, Probe] = {}
        self.choices: dict[str, Choice] = {}
        self.fitted_on = TRAIN
        self._standard: Standard | None = None
        self._points_PF = np.zeros((0, 0), dtype=np.float32)
        self._compact: CompactPoints | None = None

    # Fitting

    def fit(
        self,
        train_NF: np.ndarray,
        valid_NF: np.ndarray,
        columns: Mapping[str, ProbeTarget],
        kind: str,
        members: int = 1,
        max_bytes: int | None = None,
        other_NF: np.ndarray | None = None,
    ) -> None:
        """Chooses and fits a probe for each target column, in one thread, so that results don't depend on the machine.

        Args:
            train_NF: vectors of the training rows.
            valid_NF: vectors of the validation rows.
            columns: what is learned, by target column, for training rows followed by validation rows.
            kind: which candidates are compared (`mammal.tasks.probes.candidates.candidates`).
            members: number of members of an ensemble of the best candidate; 1: a single probe.
            max_bytes: largest size of the stored arrays, in bytes. Rows are then stored in a compact form, and models
                that may need more are left out. None: no limit.
            other_NF: vectors of the training rows on the other strand of DNA, in the same order. The models are then
                fitted on both. None: on the strand as written only.

        Raises:
            TaskError: a column has fewer than `FEWEST_ROWS` labelled training rows, too many for this kind, or too many
                for `max_bytes`.
        """
        from threadpoolctl import threadpool_limits

        number, most = len(train_NF), None
        standard, z_NF = self._standardised(train_NF, other_NF)
        valid_NF = standard.apply(valid_NF)
        if max_bytes is not None:
            self._compact = self._compact_points(train_NF.shape[1])
            most = self._most_points(z_NF, columns, members, max_bytes)
            z_NF = self._compact.rounded(z_NF)
        with threadpool_limits(limits=1):
            for name, column in columns.items():
                train = column.rows(z_NF, slice(None, number), self.strands)
                valid = column.rows(valid_NF, slice(number, None))
                check_rows(name, train, column.classes, kind, most)
                options = candidates(kind, len(train), column.classes, most)
                metric = column.metric, metric_named(column.metric)
                probe, self.choices[name] = chosen(
                    options, train, valid, metric, classes=column.classes, back=column.back, members=members
                )
                self.probes[name] = of_all_rows(probe, column, number, self.strands)
        self._keep_points(z_NF)

    def refit(
        self,
        rows_NF: np.ndarray,
        columns: Mapping[str, ProbeTarget],
        chosen_by: TaskProbes,
        other_NF: np.ndarray | None = None,
    ) -> None:
        """Fits the models that other probes of the task have chosen.

        Args:
            rows_NF: vectors of the rows.
            columns: what is learned, by target column, for these rows.
            chosen_by: fitted probes. Their models and hyper-parameters are used, and their choices are kept.
            other_NF: as for `fit`.

        Raises:
            TaskError: a column has fewer than `FEWEST_ROWS` labelled rows.
        """
        from threadpoolctl import threadpool_limits

        _, z_NF = self._standardised(rows_NF, other_NF)
        if chosen_by._compact is not None:
            self._compact = self._compact_points(rows_NF.shape[1])
            z_NF = self._compact.rounded(z_NF)
        with threadpool_limits(limits=1):
            for name, column in columns.items():
                rows, known = column.rows(z_NF, slice(None), self.strands), chosen_by.probes[name]
                check_rows(name, rows, column.classes, "linear")
                candidate = Candidate(known.model, known.settings)
                probe = fitted_again(candidate, rows, classes=column.classes, members=known.members)
                self.probes[name] = of_all_rows(probe, column, len(rows_NF), self.strands)
        self.choices = dict(chosen_by.choices)
        self._keep_points(z_NF)

    def _standardised(self, rows_NF: np.ndarray, other_NF: np.ndarray | None) -> tuple[Standard, np.ndarray]:
        """Fits the standardisation on rows, and returns it with their standardised vectors, strand after strand."""
        self.strands = 1 if other_NF is None else 2
        vectors_NF = rows_NF if other_NF is None else np.concatenate([rows_NF, other_NF])
        self._standard = standard = Standard.fit(vectors_NF, self.reader.blocks(vectors_NF.shape[1]))
        return standard, standard.apply(vectors_NF)

    def _compact_points(self, width: int) -> CompactPoints:
        """How rows are stored in little space."""
        assert self._standard is not None, "vectors are standardised"
        names = ["states", *self.reader.features]
        sparse_F = np.repeat([name in SPARSE for name in names], self.reader.blocks(width))
        return CompactPoints(self._standard.apply(np.zeros((1, width), dtype=np.float32))[0], sparse_F)

    def _most_points(self, z_NF: np.ndarray, columns: Mapping[str, ProbeTarget], members: int, max_bytes: int) -> int:
        """Number of rows of each column that can be stored."""
        assert self._compact is not None, "rows are stored in the compact form"
        fixed = _STORED_OVERHEAD + 3 * 8 * z_NF.shape[1] + len(self._packed_features())
        outputs = sum(max(1, column.classes) for column in columns.values()) * members
        if (least := fixed + 8 * outputs * z_NF.shape[1]) > max_bytes:
            what = f"the smallest probe of {self.task.name} needs {least:,} bytes, and adapt.max_bytes is {max_bytes:,}"
            raise TaskError(what, hint=f"adapt.max_bytes={least} or more, or fewer adapt.features")
        each = self._compact.bytes_of_row(z_NF) * len(columns) + 8 * outputs + 8 * len(columns)
        return int((max_bytes - fixed) / each)

    def _packed_features(self) -> np.ndarray:
        """The scales of the features, compressed: a descriptor has many numbers."""
        text = json.dumps({name: feature.state() for name, feature in self.reader.features.items()})
        return np.frombuffer(lzma.compress(text.encode()), dtype=np.uint8)

    def _keep_points(self, z_NF: np.ndarray) -> None:
        """Keeps the training rows that are support points of any probe."""
        every = [p.support_M for p in self.probes.values() if p.support_M is not None]
        kept_P = np.unique(np.concatenate(every)) if every else np.zeros(0, dtype=np.int64)
        self._points_PF = z_NF[kept_P]
        self.probes = {
            name: p if p.support_M is None else replace(p, support_M=np.searchsorted(kept_P, p.support_M))
            for name, p in self.probes.items()
        }

    # Predicting

    def values(self, output: ModelOutput, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        """Returns the scaled numbers of each row, as the scalar head would, float64 [B, K], and their spread.

        Args:
            output: output of the model for the batch.
            batch: the batch.

        Returns:
            The mean of the members of an ensemble, and their standard deviation, float64 [B, K]; NaN for a single
            probe.
        """
        by_member = [scores_BEC[..., 0] for scores_BEC in self._scores(output, batch).values()]
        means, spreads = zip(*((s_BE.mean(axis=1), _spread(s_BE)) for s_BE in by_member), strict=True)
        return np.stack(means, axis=1), np.stack(spreads, axis=1)

    def log_probabilities(self, output: ModelOutput, batch: Batch, classes: int) -> np.ndarray:
        """Returns the log-probabilities of the classes, float64 [B, K, C].

        Args:
            output: output of the model for the batch.
            batch: the batch.
            classes: number of classes of the task.
        """
        found = []
        for name, s_BEC in self._scores(output, batch).items():
            members = [
                log_probabilities(s_BEC[:, e], self.probes[name].classes, classes) for e in range(s_BEC.shape[1])
            ]
            found.append(np.logaddexp.reduce(members, axis=0) - np.log(len(members)))
        return np.stack(found, axis=1)

    def _scores(self, output: ModelOutput, batch: Batch) -> dict[str, np.ndarray]:
        z_BF = self._fitted.apply(self.reader.vectors(output, batch))
        return {name: self.probes[name].member_scores(z_BF, self._points_PF) for name in self.task.target_columns}

    @property
    def _fitted(self) -> Standard:
        if self._standard is None or not self.probes:
            raise TaskError(f"the probe of {self.task.name} is not fitted", hint="load the task from its bundle")
        return self._standard

    def tensor_scores(self, output: ModelOutput, column: str) -> Tensor:
        """Computes the outputs of the probe of one target column on the device of the model, with gradients.

        Args:
            output: output of the model for a batch.
            column: the target column.

        Returns:
            Float64 [B, E, C], of each member of an ensemble: the scaled number, or a score of each class in
                `probes[column].classes`, whose softmax are the probabilities of the member.

        Raises:
            TaskError: the probes are not fitted, or read features in addition to states of the model.
        """
        if self.reader.features:
            what = f"the probe of {self.task.name} also reads {self.reader.feature_names}"
            raise TaskError(what, hint="train it with adapt.features=[]")
        standard, probe = self._fitted, self.probes[column]
        assert output.pooled_BSW is not None, "a batch for probes wants pooled states"
        states_BF = output.pooled_BSW.flatten(1).double()
        mean_F, std_F, weight_F, coefficients, intercept_C = (
            torch.as_tensor(array, dtype=torch.float64, device=states_BF.device)
            for array in (standard.mean_F, standard.std_F, standard.weight_F, probe.coefficients, probe.intercept_C)
        )
        z_BF = ((states_BF - mean_F) / std_F).clamp(-standard.clip, standard.clip) * weight_F
        if probe.gamma is not None and probe.support_M is not None:
            support_MF = torch.as_tensor(self._points_PF[probe.support_M], dtype=torch.float64, device=z_BF.device)
            squares_BM = (z_BF.unsqueeze(1) - support_MF.unsqueeze(0)).square().sum(-1)
            z_BF = torch.exp(-probe.gamma * squares_BM)
        return (z_BF @ coefficients + intercept_C).unflatten(1, (probe.members, -1))

    # In a bundle

    def state(self) -> dict[str, Any]:
        """Returns everything but arrays, as plain values for `task.yaml` of a bundle."""
        columns = {
            name: {
                "model": probe.model,
                "settings": {key: float(value) for key, value in probe.settings.items()},
                "gamma": probe.gamma,
                "classes": list(probe.classes),
                "choice": self.choices[name].state(),
                **({"members": probe.members} if probe.members > 1 else {}),
            }
            for name, probe in self.probes.items()
        }
        features = {name: {} if self.is_compact else f.state() for name, f in self.reader.features.items()}
        clip = None if self._standard is None else self._standard.clip
        compact = {"compact": True} if self.is_compact else {}
        every = {"rows": self.fitted_on} if self.fitted_on != TRAIN else {}
        site = {"site": True} if self.reader.site else {}
        strands = {"strands": self.strands} if self.strands > 1 else {}
        return {"features": features, "clip": clip, "columns": columns, **compact, **every, **site, **strands}

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the arrays by name, for `probes.safetensors` of a bundle."""
        assert self._standard is not None, "only fitted probes are stored"
        s = self._standard
        points = {"points": self._points_PF}
        if self._compact is not None:
            points = {**self._compact.arrays(self._points_PF), "features": self._packed_features()}
        found = {"mean": s.mean_F, "std": s.std_F, "weight": s.weight_F, **points}
        for number, name in enumerate(self.task.target_columns):
            probe = self.probes[name]
            found |= {f"{number}.coefficients": probe.coefficients, f"{number}.intercept": probe.intercept_C}
            if probe.support_M is not None:
                found[f"{number}.support"] = probe.support_M
        return {name: np.ascontiguousarray(array) for name, array in found.items()}

    @property
    def members(self) -> int:
        """Number of members of the ensemble; 1 if it is none."""
        return max((probe.members for probe in self.probes.values()), default=1)

    @property
    def is_compact(self) -> bool:
        """Whether rows are stored in the compact form (`mammal.tasks.probes.points`)."""
        return self._compact is not None

    @property
    def reads_variants(self) -> bool:
        """Whether the probes read the site of a variant or its description."""
        return self.reader.site or any(name in DNA_FEATURES for name in self.reader.features)

    @classmethod
    def from_state(cls, task: RowPrompts, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> TaskProbes:
        """Restores what `state` and `arrays` returned.

        Args:
            task: the task.
            state: plain values.
            arrays: arrays by name.
        """
        made = cls(task, list(state["features"]), site=bool(state.get("site", False)))
        scales = _unpacked(arrays["features"]) if state.get("compact") else state["features"]
        for name, stored in scales.items():
            made.reader.features[name].load_state(stored)
        made._standard = Standard(arrays["mean"], arrays["std"], arrays["weight"], float(state["clip"]))
        made.fitted_on, made.strands = str(state.get("rows", TRAIN)), int(state.get("strands", 1))
        if state.get("compact"):
            made._compact = made._compact_points(len(arrays["mean"]))
            made._points_PF = made._compact.points(arrays)
        else:
            made._points_PF = arrays["points"]
        for number, name in enumerate(task.target_columns):
            stored = state["columns"][name]
            made.choices[name] = Choice(**stored["choice"])
            made.probes[name] = Probe(
                stored["model"],
                stored["settings"],
                arrays[f"{number}.coefficients"],
                arrays[f"{number}.intercept"],
                stored["gamma"],
                arrays.get(f"{number}.support"),
                tuple(stored["classes"]),
                int(stored.get("members", 1)),
            )
        return made

    @property
    def validation_score(self) -> float:
        """The figure of the chosen models, averaged over target columns; a higher one is better."""
        return float(np.mean([choice.best for choice in self.choices.values()]))

    def summary(self) -> dict[str, str]:
        """Returns one sentence about each target column: the model, its figure, the best figures of the others, and
        whether it reads the site of a variant and was fitted on both strands."""
        more = "".join(f"; {words}" for words in self._specials)
        return {name: self.choices[name].sentence(probe) + more for name, probe in self.probes.items()}

    @property
    def _specials(self) -> list[str]:
        site = f"reads the states at the variant and at {FLANK} tokens on each side"
        strands = "fitted on both strands"
        return [words for words, does in ((site, self.reader.site), (strands, self.strands > 1)) if does]


def _unpacked(packed: np.ndarray) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lzma.decompress(packed.tobytes()))
    return found


def _spread(members_BE: np.ndarray) -> np.ndarray:
    """Standard deviation over members, float64 [B]; NaN for one member."""
    return members_BE.std(axis=1, ddof=1) if members_BE.shape[1] > 1 else np.full(len(members_BE), np.nan)


__getattr__ = old_names(__name__, {"Column": "ProbeTarget"})
