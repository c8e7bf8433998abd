"""optuna-dashboard opens a search where it lies: in the job table's own SQLite file."""

from __future__ import annotations

import json
import threading
import urllib.request
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import optuna
import pytest
from sqlalchemy import Engine

from nftlab.search import Proposer
from nftlab.store import Queue, launch, status
from tests.search.lab import ME, search, work_off
from tests.store.jobtable import CODE


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.ci
def test_the_dashboard_reads_the_study(sqlite: Engine) -> None:
    dashboard = pytest.importorskip("optuna_dashboard")
    launch(sqlite, search(4), code=CODE)
    work_off(Queue(sqlite), Proposer(sqlite, ME, print))
    app = dashboard.wsgi(optuna.storages.RDBStorage(sqlite.url.render_as_string()))
    with make_server("127.0.0.1", 0, app, handler_class=_Silent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}/api/studies"
        [found] = _get(base)["study_summaries"]
        trials = _get(f"{base}/{found['study_id']}?after=0")["trials"]
        server.shutdown()
    assert (found["study_name"], found["directions"]) == ("s", ["minimize"])
    assert [trial["state"] for trial in trials] == ["Complete"] * 4
    assert [len(trial["intermediate_values"]) for trial in trials] == [2] * 4, "its curve is there to be drawn"
    assert status(sqlite)["jobs"]["done"] == 8


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)
