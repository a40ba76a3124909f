"""The method `seen` of the Python API, which `mammal.inference.Mammal` inherits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mammal.errors import BundleError, ConfigError, did_you_mean
from mammal.inference.open_model import OpenModel

if TYPE_CHECKING:
    import numpy as np


class SeenInPretraining(OpenModel):
    """Tells which texts a model was pretrained on."""

    def seen(self, texts: Sequence[str], entity: str = "smiles") -> np.ndarray:
        """Returns whether the model was pretrained on texts, by the filter that its bundle contains.

            model.seen(["CCO", "C[C@H](N)C(=O)O"])              # molecules, without stereo
            model.seen(frame["sequence"], entity="protein")     # equal sequences; similar ones are not recognised

        A text of the pretraining rows is always found. About 1 % of other texts are reported as seen.

        Args:
            texts: SMILES, protein or DNA sequences.
            entity: what the texts are: an entity of the prompt language, such as `"smiles"`, `"protein"` or `"dna"`.

        Returns:
            bool [N], one for each text; False for text that can't be read.

        Raises:
            BundleError: the bundle does not contain pretraining rows of such texts.
            ConfigError: there is no such entity, or it is neither a molecule, a protein nor DNA.
        """
        from mammal.tasks.pretraining.cleaning import FAMILIES
        from mammal.tokenization.entities import ENTITIES

        known = [name for name, about in ENTITIES.items() if about.alphabet in FAMILIES]
        if entity not in known:
            raise ConfigError(f"there is no entity {entity!r} here", where="entity", hint=did_you_mean(entity, known))
        family = FAMILIES[ENTITIES[entity].alphabet]
        if family not in self.pretraining.families:
            what = f"the bundle does not tell on which {entity} texts the model was pretrained"
            raise BundleError(what, where=str(self.folder or "this model"), hint="mammal-tiny does")
        if isinstance(texts, str):
            raise ConfigError("texts must be several texts", where="texts", hint=f"[{texts!r}]")
        return self.pretraining.seen(list(texts), family)
