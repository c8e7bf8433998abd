#!/usr/bin/env bash
# Everything that is shown on a GPU, in one command, in under ten minutes; needs only torch, numpy and pytest.
#
#     bash benchmarks/gpu.sh [FOLDER]          results: gpu-tests.txt, train-cuda.{json,md}, train-cuda-others.{json,md}
#
# First the tests, then the pairs that goals are set for in packs of every size, then the others. What a time limit cuts off
# leaves the rows that were finished, and of the tests what failed until then.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-benchmarks/results}
mkdir -p "$out"
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
failed=0
# as Ctrl-C: pytest then says what it found
timeout --signal=INT --kill-after=10 160 python3 -m pytest -p no:cacheprovider -m gpu --tb=short tests/train 2>&1 \
    | tee "$out/gpu-tests.txt" || failed=1
timeout 270 python3 benchmarks/train.py --device cuda --networks fc-a,cnn-a --precisions fp32,tf32,bf16 --rounds 1 \
    --out "$out/train-cuda.json" || failed=1
timeout 150 python3 benchmarks/train.py --device cuda --networks fc-b,cnn-b,resnet18 --precisions fp32,bf16 --rounds 1 \
    --sizes 1,4,16,64 --out "$out/train-cuda-others.json" || failed=1
exit $failed
