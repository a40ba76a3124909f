#!/usr/bin/env bash
# antiberty on PyPI. The wheel of 0.1.3 carries the weights of the model; that of 1.0.0 carries none, under the same name.
# Seen: files that end in .bin, .pt or .safetensors, in the wheel: some in 0.1.3 (more than 50 MB), none in 1.0.0.
source "$(dirname "$0")/common.sh"
$PIP download --no-deps --dest old antiberty==0.1.3
$PIP download --no-deps --dest new antiberty==1.0.0
"$PYTHON" - <<'PY'
import glob
import tarfile
import zipfile


def weights(folder):
    (file,) = glob.glob(f"{folder}/*")
    if file.endswith(".whl"):
        sizes = {item.filename: item.file_size for item in zipfile.ZipFile(file).infolist()}
    else:
        sizes = {item.name: item.size for item in tarfile.open(file).getmembers()}
    return {name: size for name, size in sizes.items() if name.endswith((".bin", ".pt", ".safetensors"))}


old, new = weights("old"), weights("new")
print("0.1.3:", old)
print("1.0.0:", new)
assert sum(old.values()) > 50e6 and not new
PY
