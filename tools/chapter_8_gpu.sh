#!/bin/sh
# Train and compare the five generators of the experiment on a machine that has a GPU, torch and this
# checkout, but no network:
#
#   tools/chapter_8_gpu.sh pack LAND.png CARRIED     # where the network is: what has to travel
#   tools/chapter_8_gpu.sh MINUTES OUT CARRIED       # there: train, measure and show
#
# LAND.png is the picture that is trained on (docs/experiments/chapter-8.md). CARRIED gets it and the
# weights of lpips-vgg from the user's cache, in pieces of at most 40 MiB, and as wheels packages of
# pure Python that a machine with torch often lacks.
#
# MINUTES are those of everything: five sixths train, the rest measures. OUT gets the six networks,
# all_files.zip with the table, logs and pictures, and nothing else: at most eight files. DEVICE
# (cuda) and COUNT (2048 samples of a measure) may be set in the environment.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
fail() { echo "error: $1" >&2; exit 2; }

if [ "${1:-}" = pack ]; then
    [ $# -eq 3 ] || fail "expected: chapter_8_gpu.sh pack LAND.png CARRIED"
    land=$2 carried=$3
    mkdir -p "$carried/data" "$carried/weights" "$carried/wheels"
    file=$(cd "$here" && "$python" -c "
import sys
from invert.weights import cached
path = cached('lpips-vgg', verify=True)
sys.exit(1) if path is None else print(path)") || fail "no lpips-vgg in the cache; run \`invert download lpips-vgg\`"
    split -b 40m -d "$file" "$carried/weights/lpips-vgg.safetensors."
    split -b 40m -d "$land" "$carried/data/land.png."
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$carried/wheels" \
        click filelock platformdirs tqdm
    du -sh "$carried"
    exit
fi

[ $# -eq 3 ] || fail "expected: chapter_8_gpu.sh MINUTES OUT CARRIED"
minutes=$1 out=$2 carried=$3
[ -e "$carried/data/land.png.00" ] ||
    fail "$carried has no picture; make it with \`chapter_8_gpu.sh pack\` where the network is"

# Work in a folder that goes away: runs keep a state of both networks, which does not travel.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" "$work/cache/invert"
XDG_CACHE_HOME="$work/cache"
export XDG_CACHE_HOME
cat "$carried/weights/lpips-vgg.safetensors."* > "$work/cache/invert/lpips-vgg.safetensors"
cat "$carried/data/land.png."* > "$work/land.png"

# Packages that are missing, from the wheels; nothing that is there is changed.
for wheel in "$carried"/wheels/*.whl; do
    name=$(basename "$wheel" | cut -d- -f1)
    "$python" -c "import $name" 2>/dev/null ||
        "$python" -m pip install --quiet --no-deps --no-index --target "$work/packages" "$wheel"
done
PYTHONPATH="$here:$work/packages${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH

training=$("$python" -c "print($minutes * 5 / 6)")
run="$work/chapter-8"
(cd "$here" && "$python" tools/chapter_8.py "$run" --data "$work/land.png" \
    --minutes "$training" --count "${COUNT:-2048}" --device "${DEVICE:-cuda}")

# The networks, and all else in one archive.
cp "$run"/*.safetensors "$out"
(cd "$run" && "$python" -m zipfile -c all_files.zip table.json ./*.png)
cp "$run/all_files.zip" "$out"
ls -l "$out"
