"""Proposing: results told, dead proposers reconciled, budgets kept, nothing proposed twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from sqlalchemy import Engine

from nftlab.errors import ConfigError
from nftlab.search import Proposer
from nftlab.search import study as searching
from nftlab.spec import load_text
from nftlab.store import (
    Claim,
    Queue,
    Worker,
    complete,
    extension,
    jobs,
    launch,
    open_db,
    proposals,
    set_priority,
    story,
    to_propose,
    verify,
)
from nftlab.store.ranking import ranked
from tests.search.lab import LR, ME, error_of, search, study, suggested, train, train_all, work_off
from tests.store.conftest import TABLES
from tests.store.jobtable import BOB, CODE, at_once, sql


def proposer(engine: Engine, said: list[str] | None = None) -> Proposer:
    return Proposer(engine, ME, (said if said is not None else []).append)


def test_a_search_from_launch_to_verify(engine: Engine, queue: Queue) -> None:
    result = launch(engine, search(), code=CODE)
    assert (result.jobs_added, result.to_propose) == (0, 12)
    assert verify(engine, "s")["missing"] == 12
    work_off(queue, proposer(engine))
    found = verify(engine, "s")
    assert complete(found)
    assert (found["expected"], found["done"], found["extra"]) == (12, 12, 0)
    rows = sql(engine, "SELECT number, trial_key, told FROM proposals ORDER BY number")
    assert [(row.number, row.told) for row in rows] == [(number, "complete") for number in range(6)]
    assert [trial.user_attrs["trial_key"] for trial in study(engine).trials] == [row.trial_key for row in rows]
    more = extension(engine, search(seeds=3))
    assert (more.added, more.known, more.dropped, more.seeds) == (6, 12, 0, [2]), "what was proposed is asked for"
    assert [move["why"] for move in story(engine, jobs(engine)[0].job_key)["transitions"]] == ["proposed", "claimed", "finished"]


def test_a_search_whose_file_does_not_name_it_proposes(engine: Engine, queue: Queue) -> None:
    sweep = search(3)
    launch(engine, load_text(sweep.source.replace("name: s\n", ""), name="from/its-path"), code=CODE)
    work_off(queue, proposer(engine))
    assert complete(verify(engine, "from/its-path"))
    assert {job.sweep for job in jobs(engine)} == {"from/its-path"}


def test_the_sampler_is_told_the_mean_over_seeds_and_the_mean_curve(sqlite: Engine) -> None:
    launch(sqlite, search(3, seeds=3), code=CODE)
    work_off(Queue(sqlite), proposer(sqlite))
    errors: dict[str, list[float]] = {}
    for job in jobs(sqlite):
        errors.setdefault(job.trial_key, []).append(job.val_error or 0)
    for trial in study(sqlite).trials:
        mean = statistics.fmean(errors[trial.user_attrs["trial_key"]])
        assert trial.value == pytest.approx(mean)
        assert trial.intermediate_values == pytest.approx({1: mean, 2: mean + 5})
    best = ranked(sqlite, "s")[0]
    assert (best.trial_key, best.mean) == (study(sqlite).best_trial.user_attrs["trial_key"], study(sqlite).best_value)


def test_failures_losses_and_prunings_are_told(sqlite: Engine) -> None:
    launch(sqlite, search(4, seeds=1, sampler="{name: random}"), code=CODE)
    ends = iter(["failed", "cancelled", "pruned", "done"])

    def end(queue: Queue, claim: Claim) -> None:
        how = next(ends)
        if how == "failed":
            queue.fail(claim, "no", cause="config")
        elif how == "cancelled":
            queue.cancel([claim.job_id])
        elif how == "pruned":
            queue.prune([(claim, "behind")])
        else:
            train(queue, claim, error_of(claim))

    work_off(Queue(sqlite), proposer(sqlite), places=1, end=end)
    assert [row.told for row in sql(sqlite, "SELECT told FROM proposals ORDER BY number")] == ["failed", "failed", "pruned", "complete"]
    states = [trial.state for trial in study(sqlite).trials]
    assert states == [TrialState.FAIL, TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE]


def test_a_trial_is_told_only_when_all_its_seeds_have_ended(sqlite: Engine) -> None:
    launch(sqlite, search(1, seeds=2), code=CODE)
    asking = proposer(sqlite)
    assert asking.propose(1) == 2
    first, second = Queue(sqlite).claim(ME, 2, {})
    train(Queue(sqlite), first, 1.0)
    assert asking.propose(1) == 0
    assert asking.left() is False, "nothing to propose, nothing to tell yet"
    train(Queue(sqlite), second, 2.0)
    assert asking.left() is True
    asking.propose(1)
    assert [trial.value for trial in study(sqlite).trials] == [1.5]
    assert asking.left() is False


def _killed_between_ask_and_insert(url: str) -> None:
    engine = open_db(url, create=False)
    assert engine is not None
    proposals.propose = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
    proposer(engine).propose(4)


def killed(engine: Engine) -> None:
    """A proposer dies between the sampler's answer and our table; its turn has run out since."""
    url = engine.url.render_as_string(hide_password=False)
    engine.dispose()
    dead = multiprocessing.get_context("fork").Process(target=_killed_between_ask_and_insert, args=(url,))
    dead.start()
    dead.join()
    assert dead.exitcode == -signal.SIGKILL
    assert study(engine).trials[-1].state == TrialState.RUNNING
    assert proposer(engine).propose(1) == 0, "the dead one's turn has not run out"
    sql(engine, "UPDATE sweeps SET proposer_until = 1")


def test_what_a_killed_proposer_asked_for_is_told_as_failed_and_costs_no_budget(engine: Engine, queue: Queue) -> None:
    launch(engine, search(6, seeds=1), code=CODE)
    assert proposer(engine).propose(1) == 2
    train_all(queue)
    killed(engine)
    work_off(queue, proposer(engine))
    states = [trial.state for trial in study(engine).trials]
    assert states == [TrialState.COMPLETE] * 2 + [TrialState.FAIL] + [TrialState.COMPLETE] * 4
    assert complete(verify(engine, "s"))


def test_a_search_whose_first_proposer_was_killed_begins_anew_with_the_values_of_today(engine: Engine, queue: Queue) -> None:
    """Nothing was proposed, so the file may change; Optuna has only seen its values of before."""
    space = "  dataset: {value: digits}\n  lr: {values: [0.1, 0.01]}\n  batch_size: {values: [16, 32]}\n"
    launch(engine, search(3, seeds=1, parameters=space), code=CODE)
    killed(engine)
    launch(engine, search(3, seeds=1, parameters=space.replace("0.1, 0.01", "0.2, 0.02")), code=CODE)
    work_off(queue, proposer(engine))
    assert complete(verify(engine, "s"))
    assert {job.config["lr"] for job in jobs(engine)} <= {0.2, 0.02}
    assert [trial.number for trial in study(engine).trials][:1] == [0]


def test_a_study_that_knows_a_parameter_with_other_values_breaks_its_search_and_no_worker(sqlite: Engine) -> None:
    space = "  dataset: {value: digits}\n  lr: {values: [0.1, 0.01, 0.001]}\n"
    launch(sqlite, search(3, seeds=1, parameters=space), code=CODE)
    assert proposer(sqlite).propose(1) == 2
    sql(sqlite, "UPDATE sweeps SET source = replace(source, '0.001', '0.002')")  # which a launch would refuse
    said: list[str] = []
    asking = proposer(sqlite, said)
    before = len(study(sqlite).trials)
    assert (asking.propose(9), asking.propose(9), list(asking.broken)) == (0, 0, ["s"])
    assert "its Optuna study has lr with other values" in said[0]
    assert len(study(sqlite).trials) == before + 1


def test_a_search_cannot_change_while_its_first_trials_are_proposed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proposals come when the launch has begun and has not yet the table to itself."""
    launch(engine, search(4, seeds=1), code=CODE)
    me = Worker.me

    def late() -> Worker:
        assert proposer(engine).propose(1) > 0
        return me()

    monkeypatch.setattr(Worker, "me", late)
    with pytest.raises(ConfigError, match="cannot change"):
        launch(engine, search(4, seeds=1, parameters=LR.replace("1e-5", "1e-3")), code=CODE)


def test_a_late_proposer_adds_nothing(engine: Engine) -> None:
    sweep = search(6, seeds=1)
    launch(engine, sweep, code=CODE)
    assert sweep.search is not None
    trial = sweep.search.space.trial(lambda axis: 1e-3)
    assert proposals.take_turn(engine, "s", "late", 60) == sweep.source
    assert proposals.take_turn(engine, "s", "other", 60) is None
    sql(engine, "UPDATE sweeps SET proposer_until = 1")
    assert proposals.take_turn(engine, "s", "other", 60) == sweep.source
    assert proposals.propose(engine, sweep, "late", 0, trial, BOB) == 0
    assert proposals.propose(engine, sweep, "other", 0, trial, BOB) == 1
    launch(engine, search(6, seeds=2), code=CODE)
    assert proposals.propose(engine, sweep, "other", 1, trial, BOB) == 0, "the file says something else by now"


def test_a_small_space_is_proposed_whole_and_nothing_twice(sqlite: Engine) -> None:
    space = "  lr: {values: [1e-3, 1e-2]}\n  batch_size: {values: [8, 16]}\n"
    launch(sqlite, search(4, seeds=1, parameters=space), code=CODE)
    work_off(Queue(sqlite), proposer(sqlite), places=1)
    assert complete(verify(sqlite, "s"))
    assert len({job.trial_key for job in jobs(sqlite)}) == 4


def test_an_exhausted_search_stops_and_says_so(sqlite: Engine) -> None:
    said: list[str] = []
    launch(sqlite, search(4, seeds=1, parameters="  lr: {value: 1e-3}\n  epochs: {min: 1, max: 4}\n"), code=CODE)
    sql(sqlite, "UPDATE sweeps SET source = replace(source, 'run_cap: 4', 'run_cap: 9')")
    work_off(Queue(sqlite), proposer(sqlite, said), places=1)
    assert said == ["s: all 4 configurations that its parameters allow are proposed, run_cap asks for more: stopped"]
    assert (len(jobs(sqlite)), verify(sqlite, "s")["missing"]) == (4, 5)
    launch(sqlite, search(4, seeds=1, parameters="  lr: {value: 1e-3}\n  epochs: {min: 1, max: 4}\n"), code=CODE)
    assert complete(verify(sqlite, "s"))


def test_a_search_of_which_nothing_can_be_trained_is_broken_not_exhausted(sqlite: Engine) -> None:
    launch(sqlite, search(4, parameters="  lr: {value: 1e-3}\n  epochs: {min: 1, max: 4}\n"), code=CODE)
    sql(sqlite, "UPDATE sweeps SET source = replace(source, 'max: 4', 'max: 4.0')")  # an earlier nftlab let it be launched
    said: list[str] = []
    asking = proposer(sqlite, said)
    assert (asking.propose(1), set(asking.broken), asking.left()) == (0, {"s"}, False)
    (line,) = said
    assert line.startswith("s: no more trials are proposed here: none of 1000 configurations drawn from its parameters can be trained: ")
    assert line.endswith(" is not a whole number; mend its file and launch it again")
    assert sql(sqlite, "SELECT state FROM sweeps")[0].state == "active"


def _one_more(_: int, url: str) -> int:
    engine = open_db(url, create=False)
    assert engine is not None
    added = proposer(engine).propose(1)
    train_all(Queue(engine))
    engine.dispose()
    return added


@pytest.mark.parametrize(
    "sampler", ["tpe", *(pytest.param(name, marks=pytest.mark.ci) for name in ("cmaes", "gp", "qmc", "random", "nsgaii"))]
)
def test_who_asks_makes_no_difference(sqlite: Engine, tmp_path: Path, sampler: str) -> None:
    """Two studies of one search, one asked by a single process, the other by a new process every time, propose the same."""
    settings = f"{{name: {sampler}{', n_startup_trials: 2' if sampler in ('tpe', 'gp') else ''}}}"
    other = open_db(str(tmp_path / "other.sqlite"), create=True)
    assert other is not None
    for engine in (sqlite, other):
        launch(engine, search(4, seeds=1, parameters=LR + "  batch_size: {values: [8, 16, 32]}\n", sampler=settings), code=CODE)
    alone = proposer(sqlite)
    while alone.propose(1):
        train_all(Queue(sqlite))
    other.dispose()
    while len(jobs(other)) < 4:
        assert at_once(1, _one_more, other.url.render_as_string())[0] > 0
    assert suggested(other) == suggested(sqlite)
    assert len({str(params) for params in suggested(other)}) == 4


def test_a_larger_budget_and_more_seeds_extend_a_search(sqlite: Engine) -> None:
    launch(sqlite, search(2, seeds=1), code=CODE)
    work_off(Queue(sqlite), proposer(sqlite))
    again = launch(sqlite, search(2, seeds=1), code=CODE)
    assert (again.jobs_added, again.jobs_known, again.to_propose) == (0, 2, 0)
    more = launch(sqlite, search(4, seeds=3), code=CODE)
    assert (more.jobs_added, more.jobs_known, more.to_propose) == (4, 2, 6)
    work_off(Queue(sqlite), proposer(sqlite))
    assert complete(verify(sqlite, "s"))
    assert verify(sqlite, "s")["expected"] == 12
    fewer = launch(sqlite, search(1, seeds=1), code=CODE)
    assert (fewer.jobs_added, fewer.dropped, verify(sqlite, "s")["extra"]) == (0, 11, 11)


def test_a_search_that_has_begun_keeps_its_parameters_and_metric(sqlite: Engine) -> None:
    launch(sqlite, search(2), code=CODE)
    launch(sqlite, search(2, parameters=LR.replace("1e-5", "1e-4")), code=CODE)
    assert proposer(sqlite).propose(1) > 0
    with pytest.raises(ConfigError, match="its parameters and metric cannot change; give the changed search another name"):
        launch(sqlite, search(2), code=CODE)
    other = search(2, parameters=LR.replace("1e-5", "1e-4")).source.replace("val/error", "val/loss")
    with pytest.raises(ConfigError, match="its parameters and metric cannot change"):
        launch(sqlite, load_text(other), code=CODE)


@pytest.mark.parametrize("state", ["paused", "stopped"])
def test_only_active_searches_propose(sqlite: Engine, state: str) -> None:
    launch(sqlite, search(2), code=CODE)
    sql(sqlite, "UPDATE sweeps SET state = :state", state=state)
    assert (proposer(sqlite).propose(1), proposer(sqlite).left()) == (0, False)


def test_a_study_that_was_deleted_is_noticed(sqlite: Engine) -> None:
    launch(sqlite, search(4), code=CODE)
    asking = proposer(sqlite)
    assert asking.propose(1) > 0
    study_id = study(sqlite)._storage.get_study_id_from_name("s")
    study(sqlite)._storage.delete_study(study_id)
    launch(sqlite, search(4, name="other"), code=CODE)
    said: list[str] = []
    asking = proposer(sqlite, said)
    assert asking.propose(9) > 0, "the other search goes on"
    assert asking.broken.keys() == {"s"}
    (line,) = said
    assert line.startswith("s: no more trials are proposed here: ")
    assert "its Optuna study has 0 trials of at least 2, so it was deleted" in line


def test_a_stored_file_that_does_not_read_any_more_stops_nobody(sqlite: Engine, queue: Queue) -> None:
    """As after an update of nftlab that knows a field no more."""
    for name in ("old", "new"):
        launch(sqlite, search(4, name=name), code=CODE)
    sql(sqlite, "UPDATE sweeps SET source = replace(source, 'lr:', 'learning_speed:') WHERE name = 'old'")
    assert to_propose(sqlite) == 8
    said: list[str] = []
    asking = proposer(sqlite, said)
    work_off(queue, asking)
    assert (set(asking.broken), asking.left(), len(said)) == ({"old"}, False, 1)
    assert {job.sweep for job in jobs(sqlite)} == {"new"}
    assert len(jobs(sqlite)) == 8


def test_the_first_proposals_come_at_once_and_later_ones_as_places_allow(sqlite: Engine) -> None:
    launch(sqlite, search(20, seeds=2, sampler="{name: tpe, n_startup_trials: 4}"), code=CODE)
    asking = proposer(sqlite)
    assert asking.propose(1) == 8, "the sampler knows nothing before the fifth"
    assert asking.propose(5) == 4, "two trials fit into five places"
    assert asking.propose(1) == 2


def test_only_what_has_a_higher_priority_than_what_waits_is_proposed_and_the_jobs_have_it(engine: Engine, queue: Queue) -> None:
    for name in ("low", "high"):
        launch(engine, search(2, seeds=1, name=name), code=CODE)
    set_priority(engine, "high", 5)
    asking = proposer(engine)
    assert asking.propose(9, above=5) == 0
    assert asking.propose(9, above=4) == 2
    assert [(job.sweep, job.priority) for job in table_rows(engine)] == [("high", 5)] * 2
    assert asking.propose(9) == 2
    assert [claim.sweep for claim in queue.claim(BOB, 9, {})] == ["high", "high", "low", "low"]


def table_rows(engine: Engine) -> list[Any]:
    return sql(engine, "SELECT sweep, priority FROM jobs ORDER BY id")


def test_a_proposer_that_stood_still_and_lost_its_turn_stops_nothing(sqlite: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between Optuna's creation of a trial and its first parameter: the successor rightly discards what nobody had put into the table."""
    launch(sqlite, search(4), code=CODE)
    late, successor, said = proposer(sqlite), proposer(sqlite), list[str]()
    late._say = said.append
    suggest = searching._suggest

    def stand_still(trial: Any, axis: Any) -> Any:
        monkeypatch.setattr(searching, "_suggest", suggest)
        sql(sqlite, "UPDATE sweeps SET proposer_until = 0")
        assert successor.propose(1) > 0
        return suggest(trial, axis)

    monkeypatch.setattr(searching, "_suggest", stand_still)
    assert late.propose(1) == 0
    assert (late.broken, said) == ({}, [])
    work_off(Queue(sqlite), late)
    assert complete(verify(sqlite, "s"))


def test_optuna_waits_for_no_rows_for_long_and_keeps_no_connection(postgres: Engine) -> None:
    sql(postgres, f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
    launch(postgres, search(4), code=CODE)
    asking = proposer(postgres)
    assert asking.propose(1) > 0
    assert asking._storage.engine.pool.checkedin() == 0
    with asking._storage.engine.connect() as connection:
        shown = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in ("lock_timeout", "idle_in_transaction_session_timeout")]
    assert shown == ["5s", "30s"]


def test_a_search_with_nothing_new_left_is_said_to_be_so_once(sqlite: Engine) -> None:
    launch(
        sqlite,
        search(8, seeds=1, parameters="  dataset: {value: digits}\n  lr: {values: [1e-2, 1e-3]}\n  epochs: {min: 1, max: 4}\n"),
        code=CODE,
    )
    said: list[str] = []
    asking, queue = proposer(sqlite, said), Queue(sqlite)
    while asking.propose(9):
        pass
    assert said == []
    sql(sqlite, "UPDATE sweeps SET source = replace(source, 'run_cap: 8', 'run_cap: 9')")
    assert [asking.propose(9) for _ in range(3)] == [0, 0, 0]
    assert len(said) == 1, said
    train_all(queue)
    asking.propose(9)
    assert sql(sqlite, "SELECT state FROM sweeps")[0].state == "stopped"


def test_nothing_is_proposed_for_what_is_left_to_others(sqlite: Engine) -> None:
    launch(sqlite, search(4), code=CODE)
    without: set[str] = set()
    asking = Proposer(sqlite, ME, print, without=without)
    assert asking.propose(1) > 0
    without.add("s")
    assert (asking.propose(9), asking.left()) == (0, False)
