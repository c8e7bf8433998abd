from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.helpers import JOBS, SWEEP, Invoke, learn, read


def test_measure_tells_what_sweeps_would_cost_and_dry_run_finds_it(invoke: Invoke, folder: Path) -> None:
    before = invoke("sweep", "launch", "small.yaml", "--dry-run")
    assert "nftlab sweep measure small.yaml" in before.stderr
    result = invoke("sweep", "measure", "small.yaml", "--device", "cpu")
    assert result.exit_code == 0, result.output
    header, ct, nft, total = [line.split("\t") for line in result.stdout.splitlines()]
    assert header == ["algorithm", "network", "dataset", "jobs", "at once", "s an epoch", "all jobs"]
    assert ct[:4] == ["ct", "fc-a", "digits", "2"]
    assert nft[:4] == ["nft", "fc-a", "digits", "4"]
    assert total[0].startswith("about ")
    after = invoke("sweep", "launch", "small.yaml", "--dry-run")
    assert after.stdout.splitlines()[-1] == total[0]
    assert "sweep measure" not in after.stderr
    assert not any(read(invoke("status", "--json"))["jobs"].values())


def test_measure_as_json_takes_what_is_known_and_names_what_is_missing(invoke: Invoke, folder: Path) -> None:
    (folder / "absent.yaml").write_text(SWEEP.replace("small", "absent").replace("digits", "mnist"))
    for algorithm in ("ct", "nft"):
        learn(algorithm)
    result = invoke("sweep", "measure", "small.yaml", "absent.yaml", "--json", "--device", "cpu")
    assert result.exit_code == 1
    found = read(result)
    assert [(kind["what"]["algorithm"], kind["what"]["dataset"], kind["jobs"], kind["epochs"]) for kind in found["kinds"]] == [
        ("ct", "digits", 2, 4),
        ("nft", "digits", 4, 8),
        ("ct", "mnist", 2, 4),
        ("nft", "mnist", 4, 8),
    ]
    assert [kind["seconds"] is None for kind in found["kinds"]] == [False, False, True, True]
    assert found["forecast"]["unknown_jobs"] == JOBS
    assert "not measured: mnist is not here" in result.stderr


def test_of_a_search_there_is_nothing_to_measure(invoke: Invoke, folder: Path) -> None:
    (folder / "search.yaml").write_text(SWEEP.replace("method: grid", "method: bayes\nrun_cap: 2"))
    assert "sweep measure" not in invoke("sweep", "launch", "search.yaml", "--dry-run").stderr
    result = invoke("sweep", "measure", "search.yaml")
    assert result.exit_code == 0
    assert "nothing to measure: of a search" in result.stderr


@pytest.mark.ci
def test_kinds_that_cannot_be_timed_are_named_and_rows_differ(invoke: Invoke, folder: Path) -> None:
    eta_max, two = "  eta_max: {values: [500, 2000]}\n", "epochs: {value: 2}"
    (folder / "huge.yaml").write_text(SWEEP.replace(eta_max, "  n_f: {values: [2, 1000000]}\n").replace("small", "huge"))
    (folder / "long.yaml").write_text(SWEEP.replace(eta_max, "").replace(two, "epochs: {values: [2, 3]}").replace("small", "long"))
    result = invoke("sweep", "measure", "huge.yaml", "long.yaml", "--device", "cpu")
    assert result.exit_code == 1, result.stderr
    rows = [line.split("\t") for line in result.stdout.splitlines()[1:-1]]
    assert len({tuple(row) for row in rows}) == len(rows)
    assert "not measured: fc-a nft on digits" in result.stderr
