"""Keeps old names of renamed modules importable for one version, with a warning.

`mammal/__init__.py` installs the finder. No module of this project imports an old name.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

RENAMED = {
    "mammal.adaptation": "mammal.bundle.adaptation",
    "mammal.answers": "mammal.rows.answer_columns",
    "mammal.card": "mammal.bundle.card",
    "mammal.choose": "mammal.rows.task_choice",
    "mammal.commands.compare_runs": "mammal.evaluation.compare_runs",
    "mammal.commands.compose": "mammal.configuration.compose",
    "mammal.commands.config_errors": "mammal.configuration.errors",
    "mammal.commands.evaluate_generated": "mammal.evaluation.generated",
    "mammal.commands.evaluate_runs": "mammal.evaluation.runs",
    "mammal.commands.evaluate_samples": "mammal.evaluation.sample_files",
    "mammal.corpus.cleaning": "mammal.tasks.pretraining.cleaning",
    "mammal.frames": "mammal.rows.tables",
    "mammal.from_names": "mammal.inference.from_names",
    "mammal.generation.api": "mammal.inference.generate_api",
    "mammal.generation.config": "mammal.decoding.config",
    "mammal.generation.draws": "mammal.decoding.random_numbers",
    "mammal.generation.filling": "mammal.generation.fill_encoder",
    "mammal.generation.given": "mammal.generation.setting_types",
    "mammal.generation.stops": "mammal.generation.stop_tokens",
    "mammal.generation.wishes": "mammal.generation.shared_conditions",
    "mammal.infilling": "mammal.inference.infill_api",
    "mammal.jobs.crew": "mammal.jobs.workers",
    "mammal.jobs.names": "mammal.jobs.names_job",
    "mammal.jobs.properties": "mammal.jobs.properties_job",
    "mammal.jobs.results": "mammal.jobs.layout",
    "mammal.jobs.run": "mammal.jobs.model_job",
    "mammal.jobs.settle": "mammal.jobs.warm_up",
    "mammal.jobs.variants": "mammal.jobs.variants_job",
    "mammal.jobs.vcf": "mammal.jobs.vcf_format",
    "mammal.jobs.windows": "mammal.jobs.windows_job",
    "mammal.likelihood": "mammal.decoding.likelihood",
    "mammal.locate": "mammal.bundle.locate",
    "mammal.memory": "mammal.model.memory",
    "mammal.model.beam_search": "mammal.decoding.beam_search",
    "mammal.model.beams": "mammal.decoding.beams",
    "mammal.model.choices": "mammal.decoding.allowed_tokens",
    "mammal.model.drawing": "mammal.decoding.sampling",
    "mammal.model.head": "mammal.decoding.token_head",
    "mammal.model.limits": "mammal.decoding.limits",
    "mammal.model.search": "mammal.decoding.search",
    "mammal.model.stepping": "mammal.decoding.decoder_cache",
    "mammal.model.steps": "mammal.decoding.steps",
    "mammal.parallel": "mammal.rows.parallel_encoder",
    "mammal.plain": "mammal.configuration.plain",
    "mammal.prompts": "mammal.rows.bare_prompts",
    "mammal.questions": "mammal.inference.questions",
    "mammal.report.judging": "mammal.evaluation.judge_sets",
    "mammal.report.reliability": "mammal.evaluation.reliability",
    "mammal.report.results": "mammal.evaluation.results",
    "mammal.report.samples": "mammal.evaluation.samples",
    "mammal.report.seeds": "mammal.evaluation.seeds",
    "mammal.report.sets": "mammal.evaluation.set_results",
    "mammal.report.tables": "mammal.evaluation.tables",
    "mammal.reranking": "mammal.inference.reranking",
    "mammal.run_model": "mammal.rows.run_model",
    "mammal.tasks.answers": "mammal.tasks.metrics.answers",
    "mammal.tasks.antibodies": "mammal.tasks.sequences.antibodies",
    "mammal.tasks.atomic": "mammal.tasks.tables.atomic",
    "mammal.tasks.baseline_copy": "mammal.tasks.baselines.baseline_copy",
    "mammal.tasks.baseline_dna": "mammal.tasks.baselines.baseline_dna",
    "mammal.tasks.baseline_features": "mammal.tasks.baselines.baseline_features",
    "mammal.tasks.baseline_molecules": "mammal.tasks.baselines.baseline_molecules",
    "mammal.tasks.baseline_profile": "mammal.tasks.baselines.baseline_profile",
    "mammal.tasks.batch": "mammal.tasks.batches.batch",
    "mammal.tasks.batching": "mammal.tasks.batches.token_batches",
    "mammal.tasks.calibration": "mammal.tasks.targets.calibration",
    "mammal.tasks.caption_metrics": "mammal.tasks.metrics.caption_metrics",
    "mammal.tasks.cells": "mammal.tasks.tables.cells",
    "mammal.tasks.censored": "mammal.tasks.targets.censored",
    "mammal.tasks.chemistry": "mammal.tasks.molecules.chemistry",
    "mammal.tasks.class_metrics": "mammal.tasks.metrics.class_metrics",
    "mammal.tasks.clusters": "mammal.tasks.sequences.clusters",
    "mammal.tasks.collate": "mammal.tasks.batches.collate",
    "mammal.tasks.columns": "mammal.tasks.prompts.columns",
    "mammal.tasks.condition_metrics": "mammal.tasks.metrics.condition_metrics",
    "mammal.tasks.conditions": "mammal.tasks.prompts.conditions",
    "mammal.tasks.consistency_metrics": "mammal.tasks.metrics.consistency_metrics",
    "mammal.tasks.data_config": "mammal.tasks.declaration.data_config",
    "mammal.tasks.dna.vcf_file": "mammal.tasks.tables.variant_files",
    "mammal.tasks.example": "mammal.tasks.batches.example",
    "mammal.tasks.families": "mammal.tasks.sequences.families",
    "mammal.tasks.grammar.fills": "mammal.tasks.infilling.fill_grammar",
    "mammal.tasks.h5ad": "mammal.tasks.tables.h5ad",
    "mammal.tasks.imbalance": "mammal.tasks.targets.imbalance",
    "mammal.tasks.kinds.filling": "mammal.tasks.infilling.filling",
    "mammal.tasks.kinds.fills_in": "mammal.tasks.infilling.task_mixin",
    "mammal.tasks.kinds.numbers": "mammal.tasks.targets.numbers",
    "mammal.tasks.kinds.paths": "mammal.tasks.targets.class_paths",
    "mammal.tasks.labels": "mammal.tasks.targets.labels",
    "mammal.tasks.lines": "mammal.tasks.tables.lines",
    "mammal.tasks.losses": "mammal.tasks.targets.losses",
    "mammal.tasks.measurements": "mammal.tasks.targets.measurements",
    "mammal.tasks.name_metrics": "mammal.tasks.metrics.name_metrics",
    "mammal.tasks.neighbours": "mammal.tasks.baselines.similarity",
    "mammal.tasks.prediction": "mammal.tasks.batches.prediction",
    "mammal.tasks.properties": "mammal.tasks.molecules.properties",
    "mammal.tasks.protein_names": "mammal.tasks.sequences.protein_names",
    "mammal.tasks.pseudo_perplexity": "mammal.tasks.metrics.pseudo_perplexity",
    "mammal.tasks.readers": "mammal.tasks.tables.readers",
    "mammal.tasks.registry": "mammal.tasks.declaration.registry",
    "mammal.tasks.row_prompts": "mammal.tasks.prompts.row_prompts",
    "mammal.tasks.scaling": "mammal.tasks.targets.scaling",
    "mammal.tasks.schema": "mammal.tasks.declaration.schema",
    "mammal.tasks.sequence_metrics": "mammal.tasks.metrics.sequence_metrics",
    "mammal.tasks.set_metrics": "mammal.tasks.metrics.set_metrics",
    "mammal.tasks.stretches": "mammal.tasks.sequences.stretches",
    "mammal.tasks.text_metrics": "mammal.tasks.metrics.text_metrics",
    "mammal.tasks.value_metrics": "mammal.tasks.metrics.value_metrics",
    "mammal.training.answer_table": "mammal.evaluation.answer_table",
    "mammal.training.coverage": "mammal.evaluation.coverage",
    "mammal.training.data": "mammal.evaluation.task_data",
    "mammal.training.errors": "mammal.errors",
    "mammal.training.evaluation": "mammal.evaluation.evaluate_task",
    "mammal.training.sensitivity": "mammal.evaluation.sensitivity",
    "mammal.training.storing": "mammal.training.checkpoint_io",
    "mammal.variants.api": "mammal.inference.variants_api",
    "mammal.verbs": "mammal.inference.predict",
    "mammal.walk": "mammal.rows.batched",
}
"""For each old name, the new name."""


class RenamedModules:
    """Imports the module with the new name if the old name is imported.

    It does not inherit from the classes of `importlib.abc`, whose import takes longer than that of all of `mammal`.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns a spec for an old name, and None for other names."""
        return ModuleSpec(fullname, self) if fullname in RENAMED else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Imports the module under its new name, and warns."""
        new = RENAMED[spec.name]
        message = f"{spec.name} is now {new}; the old name goes in the next version"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        module = import_module(new)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restores the module's own spec, which the import system has replaced. The module was executed before."""
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state


def install() -> None:
    """Adds the finder after all other finders, if it is not there yet."""
    if not any(isinstance(finder, RenamedModules) for finder in sys.meta_path):
        sys.meta_path.append(RenamedModules())
