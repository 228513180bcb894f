#!/bin/sh
# Train the encoder of ffhq-mobile on a machine that has a GPU, torch and this checkout, but no
# network:
#
#   tools/train_encoder_gpu.sh pack CARRIED            # where the network is: what has to travel
#   tools/train_encoder_gpu.sh MINUTES OUT CARRIED     # there: train, and show what came out
#
# CARRIED gets the weights from the user's cache (`invert download ffhq-mobile st-lpips-alex
# st-lpips-vgg efficientnet-lite0` puts them there) in pieces of at most 40 MiB, and as wheels packages of pure Python
# that a machine with torch often lacks.
#
# OUT gets encoder.safetensors (float16, written every minute), curve.jsonl and curve.png (what is
# missed on held-out faces), sheet.png (pictures and what the encoder sees in them) and the folder
# encoder.run. A second call with the same OUT goes on where the first one stopped: MINUTES are
# those of all calls.
#
# Everything after CARRIED goes to `invert train encoder`. DEVICE (auto), LAYER (5), BATCH (48) and
# INIT (the encoder of the package, without its refinement; "none" starts anew) may be set in the
# environment. `--refinement 2` trains a refinement of it instead.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
weights="ffhq-mobile st-lpips-alex st-lpips-vgg efficientnet-lite0"
fail() { echo "error: $1" >&2; exit 2; }

if [ "${1:-}" = pack ]; then
    [ $# -eq 2 ] || fail "expected: train_encoder_gpu.sh pack CARRIED"
    carried=$2
    mkdir -p "$carried/weights" "$carried/wheels"
    for name in $weights; do
        file=$(cd "$here" && "$python" -c "
import sys
from invert.weights import cached
path = cached('$name', verify=True)
sys.exit(1) if path is None else print(path)") || fail "no $name in the cache; run \`invert download $name\`"
        split -b 40m -d "$file" "$carried/weights/$name.safetensors."
    done
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$carried/wheels" \
        efficientnet-pytorch click filelock platformdirs tqdm
    du -sh "$carried"
    exit
fi

[ $# -ge 3 ] || fail "expected: train_encoder_gpu.sh MINUTES OUT CARRIED [OPTIONS of train encoder]"
minutes=$1 out=$2 carried=$3
shift 3

# The weights, whole again, in a cache of this run's own.
for name in $weights; do
    [ -e "$carried/weights/$name.safetensors.00" ] ||
        fail "$carried has no $name; make it with \`train_encoder_gpu.sh pack\` where the network is"
done
mkdir -p "$out"
XDG_CACHE_HOME=$(mktemp -d)
export XDG_CACHE_HOME
trap 'rm -rf "$XDG_CACHE_HOME"' EXIT
mkdir "$XDG_CACHE_HOME/invert"
for name in $weights; do
    cat "$carried/weights/$name.safetensors."* > "$XDG_CACHE_HOME/invert/$name.safetensors"
done

# The packages; wheels of pure Python are imported as they are, after what is installed.
PYTHONPATH=$here${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
for wheel in "$carried"/wheels/*.whl; do
    [ -e "$wheel" ] || continue
    name=$(basename "$wheel" | cut -d- -f1)
    "$python" -c "import $name" 2> /dev/null || PYTHONPATH=$PYTHONPATH:$(realpath "$wheel")
done
"$python" -c "import sys
try:
    import invert.commands.training, invert.encoders.training_run, tqdm
except ModuleNotFoundError as error:
    sys.exit(f'{error.name} is missing')" || fail "install what is missing, or put its wheel into $carried/wheels"

encoder=$out/encoder.safetensors
init=${INIT:-$here/invert/weights/encoders/ffhq-mobile-layer5.safetensors}
if [ -e "$out/encoder.run/run.pt" ]; then
    set -- --resume "$@"
elif [ "$init" != none ]; then
    set -- --init "$init" "$@"
fi
"$python" -m invert train encoder --network ffhq-mobile --layer "${LAYER:-5}" \
    --device "${DEVICE:-auto}" --backbone efficientnet-lite0 --minutes "$minutes" \
    --batch "${BATCH:-48}" --overwrite -o "$encoder" "$@"
"$python" "$here/tools/encoder_sheet.py" "$encoder" --device "${DEVICE:-auto}" --out "$out"
