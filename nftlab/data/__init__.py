"""Data sets: fetched, verified, made and cached; a Task is what training sees of one."""

from __future__ import annotations

from pathlib import Path

from nftlab import hypers
from nftlab.data.backgrounds import MnistBackImage, MnistRotBackImage
from nftlab.data.base import Dataset, Progress
from nftlab.data.cifar import Cifar10, Cifar100
from nftlab.data.convex import Convex
from nftlab.data.embedded import Digits, TwoMoons
from nftlab.data.imdb import Imdb
from nftlab.data.mnist import Mnist
from nftlab.data.mnist_rot import MnistRot
from nftlab.data.rectangles import Rectangles, RectanglesImage
from nftlab.data.task import Split, Task
from nftlab.data.wines import Wines, WinesTfidf
from nftlab.errors import NotFoundError, nearest

DATASETS: dict[str, Dataset] = {
    "digits": Digits(),
    "two-moons": TwoMoons(),
    "mnist": Mnist(),
    "mnist-rot": MnistRot(),
    "mnist-back-image": MnistBackImage(),
    "mnist-rot-back-image": MnistRotBackImage(),
    "rectangles": Rectangles(),
    "rectangles-image": RectanglesImage(),
    "convex": Convex(),
    "cifar10": Cifar10(),
    "cifar100": Cifar100(),
    "imdb": Imdb(),
    "wines": Wines(),
    "wines-tfidf": WinesTfidf(),
}

__all__ = ["DATASETS", "Dataset", "Progress", "Split", "Task", "dataset", "load"]


def dataset(name: str) -> Dataset:
    """The data set of this name. Raises NotFoundError naming the nearest there is."""
    if name not in DATASETS and name in hypers.DATASETS:
        hint = "DATASETS in nftlab/hypers.py has it, DATASETS in nftlab/data/__init__.py has no line for it"
        raise NotFoundError(f"there is no data set {name!r}", hint)
    if name not in DATASETS:
        raise NotFoundError(f"there is no data set {name!r}{nearest(name, DATASETS)}", f"there are {', '.join(DATASETS)}")
    return DATASETS[name]


def load(name: str, root: Path | None = None) -> Task:
    """A data set as tensors on the CPU, `root` being NFTLAB_DATA or the user's cache by default.

    Its form is checked (`Dataset.check_form`), so that a data set of one's own does not fail in the middle of training, or train on
    less than it says. Raises NotFoundError for an unknown name and DataError, naming what mends it, for missing, damaged or wrong data.
    """
    found = dataset(name)
    task = found.load(root)
    found.check_form(task, found.mend(root))
    return task
