"""Workers: claim jobs, train them, record them."""

from nftlab.worker.blame import SickNodeError
from nftlab.worker.crew import check_crew, devices, run_crew
from nftlab.worker.options import WorkerOptions, named
from nftlab.worker.worker import run_worker

__all__ = ["SickNodeError", "WorkerOptions", "check_crew", "devices", "named", "run_crew", "run_worker"]
