"""Searches that are deleted, with their studies."""

from __future__ import annotations

import optuna
from sqlalchemy import Engine

from nftlab.search import Proposer, Referee
from nftlab.search.study import open_storage
from nftlab.spec import load_text
from nftlab.store import Queue, cancel, complete, delete, jobs, launch, sources, verify
from tests.search.lab import LR, ME, search, study, work_off
from tests.store.jobtable import CODE, epoch, make_sweep, sql

TABLES = "trials", "trial_params", "trial_intermediate_values", "trial_values", "trial_user_attributes", "study_directions"
FOUR = "  dataset: {value: digits}\n  lr: {distribution: q_uniform, min: 0.1, max: 0.4, q: 0.1}\n"


def counted(engine: Engine) -> list[int]:
    return [sql(engine, f"SELECT count(*) AS n FROM {table}")[0].n for table in TABLES]


def test_a_deleted_search_begins_anew(engine: Engine, queue: Queue) -> None:
    proposer = Proposer(engine, ME, print)
    launch(engine, search(3, name="other"), code=CODE)
    work_off(queue, proposer)
    kept, rows = study(engine, "other").trials, counted(engine)
    launch(engine, search(), code=CODE)
    work_off(queue, proposer)
    assert all(now > before for now, before in zip(counted(engine), rows, strict=True))
    delete(engine, "s")
    assert (counted(engine), study(engine, "other").trials) == (rows, kept)
    launch(engine, search(2, parameters=LR.replace("1e-5", "1e-3")), code=CODE)
    work_off(queue, proposer)
    assert complete(verify(engine, "s"))
    assert len(study(engine).trials) == 2


def test_a_sweep_without_a_sampler_leaves_somebodys_study_of_its_name(engine: Engine) -> None:
    launch(engine, make_sweep("mine"), code=CODE)
    optuna.create_study(study_name="mine", storage=open_storage(engine))
    delete(engine, "mine")
    assert study(engine, "mine").trials == []


def test_a_search_takes_no_study_of_somebody_else_over_and_none_away(engine: Engine) -> None:
    theirs = optuna.create_study(study_name="s", storage=open_storage(engine))
    theirs.ask()
    launch(engine, search(), code=CODE)
    said: list[str] = []
    assert Proposer(engine, ME, said.append).propose(1) == 0
    assert "holds an Optuna study 's' with 1 trials that no search of nftlab made; launch the search under another name" in said[0]
    delete(engine, "s")
    assert [trial.state.name for trial in study(engine).trials] == ["RUNNING"]


def test_somebodys_empty_study_is_theirs_if_it_says_anything(sqlite: Engine) -> None:
    optuna.create_study(study_name="s", storage=open_storage(sqlite), direction="maximize").set_user_attr("owner", "alice")
    launch(sqlite, search(), code=CODE)
    said: list[str] = []
    assert Proposer(sqlite, ME, said.append).propose(1) == 0
    assert "with 0 trials that no search of nftlab made" in said[0]
    delete(sqlite, "s")
    assert study(sqlite).user_attrs == {"owner": "alice"}


def test_a_search_that_begins_has_the_direction_of_its_file(sqlite: Engine) -> None:
    """A proposer died between making the study and asking it; the file has another goal since."""
    optuna.create_study(study_name="s", storage=open_storage(sqlite)).set_user_attr("nftlab", True)
    launch(sqlite, load_text(search(2).source.replace("minimize", "maximize"), "test"), code=CODE)
    work_off(Queue(sqlite), Proposer(sqlite, ME, print))
    assert study(sqlite).direction.name == "MAXIMIZE"
    assert complete(verify(sqlite, "s"))


def test_a_study_of_an_earlier_nftlab_goes_on_and_goes_with_its_search(engine: Engine, queue: Queue) -> None:
    launch(engine, search(), code=CODE)
    assert Proposer(engine, ME, print).propose(1) > 0
    sql(engine, "DELETE FROM study_user_attributes")  # which had no mark
    found = study(engine)
    work_off(queue, Proposer(engine, ME, print))
    assert complete(verify(engine, "s"))
    assert found.user_attrs == {"nftlab": True}
    sql(engine, "DELETE FROM study_user_attributes")
    delete(engine, "s")
    assert optuna.get_all_study_summaries(open_storage(engine)) == []


def test_tables_whose_names_are_like_optunas_are_not_touched(sqlite: Engine) -> None:
    """A shared database may hold anything."""
    sql(sqlite, "CREATE TABLE people (id integer PRIMARY KEY)")
    sql(sqlite, "CREATE TABLE trial_notes (id integer PRIMARY KEY, person integer REFERENCES people(id))")
    sql(sqlite, "CREATE TABLE study_group (id integer PRIMARY KEY)")
    for table in ("people", "trial_notes", "study_group"):
        sql(sqlite, f"INSERT INTO {table} (id) VALUES (1)")
    launch(sqlite, search(2), code=CODE)
    work_off(Queue(sqlite), Proposer(sqlite, ME, print))
    delete(sqlite, "s")
    assert [len(sql(sqlite, f"SELECT * FROM {table}")) for table in ("people", "trial_notes", "study_group", *TABLES)] == [
        1,
        1,
        1,
        *[0] * 6,
    ]


def test_a_worker_goes_on_with_a_search_that_was_mended_and_launched_again(sqlite: Engine) -> None:
    said: list[str] = []
    proposer = Proposer(sqlite, ME, said.append)
    launch(sqlite, search(4, seeds=1), code=CODE)
    assert proposer.propose(1) > 0
    optuna.delete_study(study_name="s", storage=open_storage(sqlite))
    assert (proposer.propose(9), proposer.propose(9), len(said)) == (0, 0, 1)
    cancel(sqlite, "s")
    delete(sqlite, "s")
    launch(sqlite, search(4, seeds=1), code=CODE)
    work_off(Queue(sqlite), proposer)
    assert (proposer.broken, complete(verify(sqlite, "s"))) == ({}, True)


def test_a_worker_that_found_a_search_exhausted_looks_again_when_its_name_has_another_file(engine: Engine, queue: Queue) -> None:
    proposer = Proposer(engine, ME, print)
    for space, count in ((FOUR, 4), (FOUR.replace("0.4", "0.6"), 6)):
        launch(engine, search(count, seeds=1, parameters=space), code=CODE)
        sql(
            engine, f"UPDATE sweeps SET source = replace(source, 'run_cap: {count}', 'run_cap: 20')"
        )  # as earlier nftlabs let it be launched
        work_off(queue, proposer, places=1)
        if space == FOUR:
            assert len(jobs(engine)) == 4
            delete(engine, "s")
    assert len(jobs(engine)) == 6


def test_a_job_that_was_deleted_since_its_epoch_was_recorded_is_not_judged(engine: Engine, queue: Queue) -> None:
    launch(engine, make_sweep(trials=3, seeds=1, settings="  pruner: {name: median, n_startup_trials: 1}\n"), code=CODE)
    claims, referee = queue.claim(ME, 3, CODE), Referee(engine)
    referee.meet(sources(engine, {"s"}))
    rows = [(claim, epoch(1)) for claim in claims]
    queue.record_epoch(rows)
    cancel(engine, "s")
    delete(engine, "s")
    assert referee.judge(rows) == []
