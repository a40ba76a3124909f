#!/usr/bin/env bash
# transformers 5.17.0 with torch. T5Config(tie_word_embeddings=False) scales nothing, T5Config(tie_word_embeddings=True)
# multiplies the decoder's output by d_model ** -0.5, and in both cases the config says tie_word_embeddings=True
# afterwards: the scale is in `scale_decoder_outputs` alone. So a program that sets tie_word_embeddings=False on the
# config of a tied model before saving it (as biomed-multi-alignment 0.2.6 does) writes a file whose older key says the
# opposite of what is computed. Seen: the attributes below.
source "$(dirname "$0")/common.sh"
$PIP install torch==2.13.0 transformers==5.17.0
HF_HUB_OFFLINE=1 "$PYTHON" - <<'PY'
from transformers import T5Config

for asked in (True, False):
    config = T5Config(tie_word_embeddings=asked)
    print(f"asked {asked}: tie={config.tie_word_embeddings}, scale={config.scale_decoder_outputs}")
    assert config.tie_word_embeddings is True
    assert config.scale_decoder_outputs is asked
saved = T5Config(tie_word_embeddings=True)
saved.tie_word_embeddings = False
again = T5Config.from_dict(saved.to_dict())
print(f"saved as untied, read again: scale_decoder_outputs={again.scale_decoder_outputs}")
assert saved.to_dict()["tie_word_embeddings"] is False and again.scale_decoder_outputs is True
PY
