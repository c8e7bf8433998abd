from __future__ import annotations

from sqlalchemy import Engine

from nftlab.store import Queue, done_by_task, launch
from tests.store.jobtable import ANN, BOB, CODE, DONE, epoch, make_sweep


def test_jobs_are_counted_for_the_task_whose_finish_was_accepted(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=2, seeds=2), code=CODE)
    first = queue.claim(ANN, 3, {"slurm": "12_0"})
    queue.finish([(claim, DONE) for claim in first[:2]])
    queue.release(first[2:], cause="preempted")
    second = queue.claim(BOB, 2, {"slurm": "12_1"})
    assert done_by_task(engine) == {"12_0": 2}
    queue.record_epoch([(claim, epoch(1)) for claim in second])
    queue.finish([(second[0], DONE)])
    queue.release(second[1:], cause="preempted")
    queue.finish([(claim, DONE) for claim in queue.claim(BOB, 1, {})])  # on a desktop
    assert done_by_task(engine) == {"12_0": 2, "12_1": 1}
