"""Workers: claim jobs, train them, record them."""

from nftlab.worker.blame import SickNodeError
from nftlab.worker.crew import devices, run_crew
from nftlab.worker.options import WorkerOptions
from nftlab.worker.worker import run_worker

__all__ = ["SickNodeError", "WorkerOptions", "devices", "run_crew", "run_worker"]
