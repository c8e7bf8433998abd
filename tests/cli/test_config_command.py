from __future__ import annotations

import pytest

from tests.cli.helpers import Invoke, read


def test_each_setting_with_its_origin(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NFTLAB_RUNS", "/scratch/runs")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    told = {row["setting"]: (row["value"], row["from"]) for row in read(invoke("config", "show", "--json", "--lease", "30"))}
    assert told["runs"] == ("/scratch/runs", "environment")
    assert told["lease"] == (30.0, "option")
    assert told["wandb"] == ("disabled", "environment")
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
