"""Storms: nothing is lost and nothing is recorded twice, however often workers and trainers are killed."""

from __future__ import annotations

import json

import pytest

from tests.worker.conftest import Lab
from tests.worker.storm import Storm
from tests.worker.storms import check_reals, check_toys, launch_reals, launch_toys, reals, toys


def tell(storm: Storm) -> None:
    print(json.dumps({"kills": len(storm.kills), "hits": storm.hits, "seconds": round(storm.seconds, 1), "exits": storm.exits}))


@pytest.mark.ci
def test_a_small_storm(lab_anywhere: Lab) -> None:
    lab = lab_anywhere
    launch_toys(lab, jobs=30, epochs=10)
    storm = toys(lab, workers=4, every=0.5, lease=2.0, most=6)
    storm.rage(seconds=300)
    tell(storm)
    assert len(storm.kills) >= 3
    check_toys(lab)


@pytest.mark.ci
def test_a_thousand_jobs_in_a_storm(lab_anywhere: Lab) -> None:
    lab = lab_anywhere
    launch_toys(lab, jobs=1000, epochs=30)
    storm = toys(lab, workers=16, every=0.4, lease=3.0)  # the toys alone take 94 seconds, of however fast a machine
    storm.rage(seconds=900)
    tell(storm)
    assert len(storm.kills) >= 200
    assert storm.hits >= 100
    check_toys(lab)


@pytest.mark.ci
def test_the_real_trainer_in_a_storm(lab_anywhere: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    lab = lab_anywhere
    launch_reals(lab, jobs=12, epochs=40)
    storm = reals(lab, workers=3, every=4.0)
    storm.rage(seconds=900)
    tell(storm)
    assert storm.hits >= 1
    check_reals(lab)
