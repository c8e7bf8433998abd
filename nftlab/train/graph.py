"""CUDA graphs: a step is recorded once and replayed, so that its hundreds of kernels cost one launch.

A recorder belongs to one stream of one device. Recording needs kernels that do not wait for the host; where one does,
the step runs as it is from then on (`refused` says why), with the same numbers. A recording reads and writes the tensors that its
step did: whoever names it again sees to it that they hold what the step is to work on.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Hashable, Iterator

import torch

from nftlab.train.memory import ran_out

WORTH = 8  # repetitions from which recording is cheaper than running


class Recorder:
    """Repeats steps on a stream of its own; its recordings share one pool of memory, as they never run at once."""

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device)
        self.refused: dict[tuple[Hashable, Hashable], str] = {}  # by pass and name
        self._pool = torch.cuda.graph_pool_handle()
        self._last: torch.cuda.CUDAGraph | None = None  # keeps the pool alive until the next recording uses it
        self._graphs: dict[Hashable, dict[Hashable, torch.cuda.CUDAGraph]] = {}

    def repeat(self, step: Callable[[], None], count: int, where: Hashable, name: Hashable) -> Iterator[None]:
        """`count` times `step`, yielding after each; the caller makes `stream` the current one whenever it goes on.

        What was recorded under that name, in a pass of the key `where`, is replayed. Else the first goes as it is: it
        settles what libraries settle at a first call.
        """
        graph = self._graphs.get(where, {}).get(name)
        if graph is None:
            step()
            yield
            graph = self._record(step, (where, name)) if count > WORTH and (where, name) not in self.refused else None
            if graph:
                self._graphs.setdefault(where, {})[name] = graph
            count -= 1
        for _ in range(count):
            graph.replay() if graph else step()
            yield

    def keep(self, where: Hashable, names: set[Hashable]) -> None:
        """Of the recordings of a pass those of other names go: the number of iterations of friendly training, say, never comes back."""
        known = self._graphs.get(where, {})
        for name in known.keys() - names:
            del known[name]

    def forget(self, where: Hashable | None = None) -> None:
        """Recordings of one pass, or all, will not be asked for again."""
        if where is None:
            self._graphs.clear()
            self.refused.clear()
        else:
            self._graphs.pop(where, None)
            self.refused = {key: why for key, why in self.refused.items() if key[0] != where}

    def _record(self, step: Callable[[], None], key: tuple[Hashable, Hashable], *, again: bool = False) -> torch.cuda.CUDAGraph | None:
        """The step, recorded and not run; None when it cannot be. Raises what says that memory ran out, `again` too."""
        try:
            return self._recorded(step)
        except RuntimeError as error:
            if not ran_out(error):
                self.refused[key] = str(error).splitlines()[0]
                return None
            if again:
                raise
        torch.cuda.empty_cache()  # which torch does when memory is short, but not while it records
        return self._record(step, key, again=True)

    def _recorded(self, step: Callable[[], None]) -> torch.cuda.CUDAGraph:
        """The same in one try; raises what went wrong."""
        graph, collects = torch.cuda.CUDAGraph(), gc.isenabled()
        gc.disable()  # a tensor of another stream must not be freed in between
        try:
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                step()
            except BaseException:
                with contextlib.suppress(RuntimeError):  # the step's own error tells more
                    graph.capture_end()
                raise
            graph.capture_end()
        finally:
            if collects:
                gc.enable()
        self._last = graph
        return graph
