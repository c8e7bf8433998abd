#!/usr/bin/env bash
# Everything that is shown on a GPU, in one command, in under ten minutes; needs only torch, numpy and pytest.
#
#     bash benchmarks/gpu.sh [FOLDER]          results: gpu-tests.txt, train-cuda.{json,md}, train-cuda-others.{json,md}
#
# First the tests (on several cores where pytest-xdist is there: one alone takes eight minutes), then the pairs that goals
# are set for, then the others. What a time limit cuts off leaves the rows that were finished, and of the tests what failed until then.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-benchmarks/results}
mkdir -p "$out"
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
failed=0 several=()
python3 -c 'import xdist' 2>/dev/null && several=(-n "$(($(nproc) < 14 ? $(nproc) : 14))")
# as Ctrl-C: pytest then says what it found
timeout --signal=INT --kill-after=10 100 python3 -m pytest -p no:cacheprovider "${several[@]}" -m gpu --tb=short \
    tests/train tests/data/test_sparse.py 2>&1 | tee "$out/gpu-tests.txt" || failed=1
timeout 290 python3 benchmarks/train.py --device cuda --networks cnn-a,fc-a --precisions bf16,tf32,fp32 --rounds 1 \
    --sizes 1,32,128 --out "$out/train-cuda.json" || failed=1
timeout 190 python3 benchmarks/train.py --device cuda --networks cnn-b,fc-b,resnet18 --precisions bf16 --rounds 1 \
    --sizes 1,16 --out "$out/train-cuda-others.json" || failed=1
exit $failed
