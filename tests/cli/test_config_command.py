from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.helpers import Invoke, read
from tests.store.conftest import postgres_url as postgres_url


def test_each_setting_with_its_origin(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFTLAB_RUNS", "/scratch/runs")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    told = {row["setting"]: (row["value"], row["from"]) for row in read(invoke("config", "show", "--json", "--lease", "30"))}
    assert told["runs"] == ("/scratch/runs", "environment")
    assert told["lease"] == (30.0, "option")
    assert told["wandb"] == ("disabled", "environment")
    assert told["wandb project"] == ("of the sweep's file, else nftlab", "default")
    monkeypatch.setenv("WANDB_PROJECT", "ours")
    assert "wandb project\tours\tWANDB_PROJECT\tenvironment" in invoke("config", "show").stdout
    assert told["db"][0].endswith("/db/nftlab.sqlite")
    assert (told["db"][1], told["data"][1]) == ("default", "default")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@127.0.0.1:1/lab",
        "postgresql://127.0.0.1:1/lab?user=me&password=hunter2",
        "postgresql://me:hunter2@[half a host/lab",
    ],
)
@pytest.mark.parametrize("command", [["config", "show"], ["config", "show", "--json"], ["status"], ["cluster", "launch"]])
def test_a_password_never_appears(url: str, command: list[str], invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFTLAB_DB", url)
    said = invoke(*command)
    assert "hunter2" not in said.output + str(said.exception)
    if command[0] == "config":
        assert (said.exit_code, "***" in said.stdout) == (0, True)


@pytest.mark.parametrize(("password", "query"), [("sec ret%40", ""), ("sec%20ret%40", ""), ("sec\nret", ""), ("", "&sslpassword=sec ret")])
def test_a_password_with_a_blank_never_appears(password: str, query: str, postgres_url: str, invoke: Invoke) -> None:
    url = postgres_url.replace(":@", f":{password}@") + query  # the server asks for none
    for command in ("config show", "config show --json", "db upgrade", "db check", "db check --json", "status", "db backup"):
        said = invoke(*command.split(), "--db", url)
        assert "postgresql" in said.output or command == "status"
        assert not {"sec", "ret"} & set(re.split(r"\W+", said.output)), command
    said = invoke("sweep", "launch", "small.yaml", "--db", url)
    assert (said.exit_code, said.stderr.count(":***@")) == (0, 2)
    assert not {"sec", "ret"} & set(re.split(r"\W+", said.output))


@pytest.mark.parametrize("url", ["postgres//me:hunter2@host/lab", "user=me password=hunter2", "postgresql://me:a@hunter2@host/lab"])
@pytest.mark.parametrize(
    "command",
    ["config show", "config show --json", "status", "db check", "cluster launch", pytest.param("doctor", marks=pytest.mark.ci), "worker"],
)
def test_nothing_is_shown_of_what_is_nearly_a_url(command: str, url: str, invoke: Invoke, folder: Path) -> None:
    said = invoke(*command.split(), "--db", url)
    assert "hunter2" not in said.output + str(said.exception)
    assert sorted(path.name for path in folder.iterdir()) == ["small.yaml"]


def test_a_file_is_shown_as_it_was_written(invoke: Invoke) -> None:
    said = invoke("sweep", "launch", "small.yaml", "--db", "my lab.sqlite")
    assert "database: my lab.sqlite\nnext: nftlab worker --drain --db 'my lab.sqlite'" in said.stderr
