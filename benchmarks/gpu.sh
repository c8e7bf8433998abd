#!/usr/bin/env bash
# Everything that is shown on a GPU, in one command, in under ten minutes; needs only torch, numpy and pytest.
#
#     bash benchmarks/gpu.sh [FOLDER]          results: gpu-tests.txt, train-cuda{,-fc-a,-fp32,-others}.{json,md}
#
# First the tests (on several cores where pytest-xdist is there: one alone takes eight minutes, so that most of them are cut off), then
# the pairs and the precision that goals are set for, then the others. A time limit leaves what was finished and is said; it is no failure.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-benchmarks/results}
mkdir -p "$out"
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
failed=0 several=()
python3 -c 'import xdist' 2>/dev/null && several=(-n "$(($(nproc) < 14 ? $(nproc) : 14))")

limited() {  # SECONDS COMMAND…, ended as by Ctrl-C: pytest then says what it found
    timeout --signal=INT --kill-after=10 "$@"
    case $? in
        0) ;;
        124) echo "cut off after $1 s: ${*:2}" >&2 ;;
        *) failed=1 ;;
    esac
}

train() {  # SECONDS NAME OPTION…
    limited "$1" python3 benchmarks/train.py --device cuda --rounds 1 --out "$out/$2.json" "${@:3}"
}

limited 90 python3 -m pytest -p no:cacheprovider "${several[@]}" -m gpu --tb=short tests/train tests/data/test_sparse.py \
    > >(tee "$out/gpu-tests.txt") 2>&1
train 170 train-cuda --networks cnn-a --precisions bf16 --sizes 1,16,32
train 60 train-cuda-fc-a --networks fc-a --methods ct --precisions bf16,fp32 --sizes 1,32,128
train 110 train-cuda-fp32 --networks cnn-a --precisions tf32,fp32 --sizes 1,32
train 150 train-cuda-others --networks fc-a,cnn-b,fc-b,resnet18 --precisions bf16 --sizes 1,16
exit $failed
