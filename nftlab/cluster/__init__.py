"""Workers on Slurm: `launch` places an array of them, `tasks` says what became of it, `stop` has them hand their jobs back and leave."""

from nftlab.cluster.launch import Array, launch, local_only, refuse_file
from nftlab.cluster.request import Request
from nftlab.cluster.stop import Stopped, stop
from nftlab.cluster.tasks import Task, tasks

__all__ = ["Array", "Request", "Stopped", "Task", "launch", "local_only", "refuse_file", "stop", "tasks"]
