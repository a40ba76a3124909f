"""Generate sequences, from a prompt or for every row of a file.

mammal generate bundle=mammal-tiny task=pretrain_properties n=10
mammal generate bundle=mammal-tiny task=pretrain_properties n=1000 output=samples.parquet seed=7
mammal generate bundle=mammal-tiny task=pretrain_properties n=10 num_beams=10 output=best.csv
mammal generate bundle=FOLDER task=moses n=100 conditions.logp=2.5 conditions.qed=0.9 guidance=2
mammal generate bundle=FOLDER prompt='<@TOKENIZER-TYPE=AA>…<EOS>' num_beams=4
"""

from __future__ import annotations

from collections.abc import Sequence

from mammal.commands import rows


def run(argv: Sequence[str]) -> int:
    return rows.run("generate", [_our_word(word) for word in argv])


def _our_word(word: str) -> str:
    """A word of the command line with our name for its setting.

    Raises:
        ConfigError: it names a setting of another library that means something else here.
    """
    from mammal.generation.other_names import our_names

    name, sign, value = word.partition("=")
    (ours,) = our_names({name: value})
    return f"{ours}{sign}{value}"
