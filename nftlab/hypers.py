"""The hyper-parameters of every algorithm: names, defaults, bounds and help, in one place.

Standard library only, so that sweep files are checked and job tables read without torch. A field that is
`static` fixes shapes or step counts: trials must agree on it to train as one program (it enters `pack_key`).
All others may differ between the lanes of a pack; of those, a field that `costs` changes what an epoch costs.
A field that came `later`, to an algorithm of which somebody's table may have jobs, is no part of a key while it has its default:
those jobs are still the ones that their sweep asks for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class DatasetShape:
    """What a network must know of a data set: shape of one example (channels, height, width) or (features,)."""

    shape: tuple[int, ...]
    classes: int


DATASETS: dict[str, DatasetShape] = {
    "digits": DatasetShape((1, 8, 8), 10),
    "two-moons": DatasetShape((2,), 2),
    "mnist": DatasetShape((1, 28, 28), 10),
    "mnist-rot": DatasetShape((1, 28, 28), 10),
    "mnist-back-image": DatasetShape((1, 28, 28), 10),
    "mnist-rot-back-image": DatasetShape((1, 28, 28), 10),
    "rectangles": DatasetShape((1, 28, 28), 2),
    "rectangles-image": DatasetShape((1, 28, 28), 2),
    "convex": DatasetShape((1, 28, 28), 2),
    "cifar10": DatasetShape((3, 32, 32), 10),
    "cifar100": DatasetShape((3, 32, 32), 100),
    "imdb": DatasetShape((20_002,), 2),
    "wines": DatasetShape((768,), 2),
    "wines-tfidf": DatasetShape((20_002,), 2),
}
_VGG, _THIN, _WRN = ("vgg13", "vgg16", "vgg19"), ("thin-resnet18", "thin-resnet34", "thin-resnet50"), ("wrn10", "wrn16", "wrn22")
NETWORKS = ("fc-a", "fc-b", "cnn-a", "cnn-b", "resnet18", "lenet", *_VGG, *_THIN, *_WRN)
# pixels a side: what the valid convolutions and the pooling leave must be ≥ 1
_SMALLEST_IMAGE = {"cnn-a": 6, "cnn-b": 11, "resnet18": 2, "lenet": 16, **dict.fromkeys(_VGG, 2), **dict.fromkeys(_THIN + _WRN, 4)}
# with BatchNorm where an image of so many pixels a side has a single place left
_ONE_PLACE = {"resnet18": 8, **dict.fromkeys(_VGG, 31), **dict.fromkeys(_THIN + _WRN, 4)}


def _hyper(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
    static: bool = False,
    costs: bool = False,
    later: bool = False,
) -> Any:
    """A dataclass field with its documentation and bounds (`low`, `high` inclusive; `above`, `below` exclusive)."""
    bounds = {"low": low, "high": high, "above": above, "below": below, "choices": choices}
    return dataclasses.field(default=default, metadata={"help": help, "static": static, "costs": costs, "later": later, **bounds})


@dataclass(frozen=True)
class Hypers:
    """What every algorithm has. `lr` and `weight_decay` are the classifier's.

    `curves`: what its trials record beside losses and errors, and what each is.
    """

    curves: ClassVar[Mapping[str, str]] = {}

    algorithm: str = _hyper("ct", "training method", static=True)
    network: str = _hyper("fc-a", "classifier", choices=NETWORKS, static=True)
    dataset: str = _hyper("digits", "data set", choices=tuple(DATASETS), static=True)
    data_share: float = _hyper(1.0, "share of the rows of every split that is used, for a smaller run", above=0, high=1, static=True)
    epochs: int = _hyper(200, "passes over the training set", low=1, static=True)
    batch_size: int = _hyper(32, "examples per optimiser step", low=1, static=True)
    optimizer: str = _hyper("adam", "of the classifier; sgd has momentum, not Nesterov's", choices=("adam", "sgd"), static=True)
    momentum: float = _hyper(0.9, "momentum of sgd", low=0, below=1)
    lr: float = _hyper(1e-4, "learning rate of the classifier at the start", above=0)
    lr_schedule: str = _hyper(
        "constant",
        "of the learning rate, by epoch: steps divides it by five after 30, 60 and 80 % of them; cosine falls to 0; refine is constant "
        "while the method alters the data, then a cosine from a tenth, or cosine if it never does. By a defect the NFT code trains "
        "ResNet18 constantly, against its paper",
        choices=("constant", "steps", "cosine", "refine"),
    )
    weight_decay: float = _hyper(1e-4, "L2 penalty of the classifier, added to the gradient as in torch.optim.Adam", low=0)
    augment: str = _hyper(
        "none", "crop-flip: training images move by up to 4 pixels, half mirrored", choices=("none", "crop-flip"), static=True
    )
    normalize: str = _hyper(
        "none",
        "channels: the classifier sees images less the mean of each channel over the training set, divided by its deviation",
        choices=("none", "channels"),
        static=True,
        later=True,
    )
    label_noise: float = _hyper(0.0, "share of the training labels that are touched, those of other splits never", low=0, high=1)
    noise_recipe: str = _hyper(
        "permute",
        "permute: the first rows swap labels among them, not for rows sorted by class; flip: random rows get another label",
        choices=("permute", "flip"),
    )
    precision: str = _hyper(
        "fp32",
        "arithmetic of the networks' layers: tf32 rounds products on a GPU, bf16 everywhere; the rest stays fp32",
        choices=("fp32", "tf32", "bf16", "fp64"),
        static=True,
    )
    outputs: str = _hyper(
        "native",
        "logits of the classifier: one per class, or ten for every data set as in the NFT code",
        choices=("native", "ten"),
        static=True,
    )
    test_curve: bool = _hyper(False, "evaluate the test set every epoch, not only when validation improves", static=True)


@dataclass(frozen=True)
class CT(Hypers):
    """Classic training: one optimiser step per batch on mean cross-entropy."""


@dataclass(frozen=True)
class EEF(Hypers):
    """Easy examples first: training starts on the examples of lowest loss (inferred, docs/papers/nft.md)."""

    curves: ClassVar[Mapping[str, str]] = {"eef/kept": "share of the examples that is kept, kappa_0 to 1, at the epoch's last batch"}

    kappa_0: float = _hyper(0.5, "share of the examples that is kept at the start; 1 is classic training", above=0, high=1, static=True)
    ratio_simp: float = _hyper(0.25, "share of training during which examples are left out", low=0, below=1, static=True)
    scaling: str = _hyper("quadratic", "how leaving out fades", choices=("quadratic", "linear"), static=True)
    scope: str = _hyper("batch", "where the easiest are sought: batch by batch, or once an epoch", choices=("batch", "epoch"), static=True)


@dataclass(frozen=True)
class FT(Hypers):
    """Friendly training: examples first move down their loss (Marullo et al. 2021). Defaults: the code's for CNN-A on mnist-back-image."""

    curves: ClassVar[Mapping[str, str]] = {
        "ft/strength": "share of iterations_simp that is left, fading from 1 to 0, at the epoch's last batch",
        "ft/iterations": "steps an example may move, a whole number, at the epoch's last batch",
    }

    iterations_simp: int = _hyper(120, "steps an example may move at the start (tau); 0 is classic training", low=0, static=True)
    step_simp: float = _hyper(0.1, "size of such a step (beta), shared by the examples of a batch that still move", above=0)
    conf_thres: float = _hyper(0.98, "an example rests once its class is predicted, more probable than this", low=0, below=1)
    ratio_simp: float = _hyper(0.5, "share of training during which examples move", low=0, below=1, static=True)
    scaling: str = _hyper("quadratic", "how the number of steps fades", choices=("quadratic", "linear"), static=True)


# What the paper writes and what its published code does (the table of docs/papers/nft.md); `mode` sets those not given.
NFT_MODES: dict[str, dict[str, Any]] = {
    "paper": {
        "phase_order": "simplifier-first",
        "first_epoch": "identity",
        "schedule": "epoch",
        "penalty": "squared-norm",
        "aux_output": "linear",
        "clf_in_simp": "eval",
        "eligible": "all",
    },
    "code": {
        "phase_order": "classifier-first",
        "first_epoch": "simplified",
        "schedule": "step",
        "penalty": "doubled-mse",
        "aux_output": "bn_relu",
        "clf_in_simp": "train",
        "eligible": "after-simplification",
    },
}


@dataclass(frozen=True)
class NFT(Hypers):
    """Neural friendly training: a second network simplifies the data early in training (Marullo et al., AAAI 2022)."""

    curves: ClassVar[Mapping[str, str]] = {
        "nft/strength": "how strongly data are simplified, fading from 1 to 0",
        "nft/eta": "weight of ‖δ‖² in the simplifier's loss: eta_max · (1 − strength), if doubled-mse times 2 / numbers per example",
        "nft/delta": "‖δ‖² of an example, its numbers as networks see them; mean over the simplifier's last pass of the epoch",
    }

    mode: str = _hyper(
        "code", "preset of the switches below: as the paper writes or as its code does", choices=("paper", "code"), static=True
    )
    eta_max: float = _hyper(1000.0, "largest weight of the penalty on the perturbation; 0 turns it off", low=0)
    ratio_simp: float = _hyper(0.25, "share of training during which data are simplified", low=0, below=1, costs=True)
    lr_simp: float = _hyper(1e-4, "learning rate of the simplifier (Adam)", above=0)
    wd_simp: float = _hyper(1e-4, "L2 penalty of the simplifier", low=0)
    iterations_simp: int = _hyper(1, "passes of the simplifier per epoch", low=1, static=True)
    simplifier: str = _hyper(
        "", "the second network; unset: unet for images, fc (256 hidden) for vectors", choices=("unet", "fc"), static=True
    )
    n_f: int = _hyper(64, "filters of the U-Net's first level (image data)", low=1, static=True)
    nu: int = _hyper(2, "levels of the U-Net (image data)", low=1, high=2, static=True)
    label_conditioning: bool = _hyper(False, "show the label to the simplifier", static=True)
    scaling: str = _hyper("quadratic", "how simplification fades", choices=("quadratic", "linear"), static=True)
    phase_order: str = _hyper("", "which network moves first in an epoch", choices=("simplifier-first", "classifier-first"), static=True)
    first_epoch: str = _hyper("", "what the classifier sees in the first epoch", choices=("identity", "simplified"), static=True)
    schedule: str = _hyper("", "when the strength changes", choices=("epoch", "step"), static=True)
    penalty: str = _hyper(
        "", "eta·‖δ‖² per example, or 2·eta·MSE as the code adds it up", choices=("squared-norm", "doubled-mse"), static=True
    )
    aux_output: str = _hyper("", "last layer of the U-Net", choices=("linear", "bn_relu"), static=True)
    clf_in_simp: str = _hyper("", "mode of the classifier in the simplifier's phase", choices=("eval", "train"), static=True)
    eligible: str = _hyper("", "epochs that may be selected", choices=("all", "after-simplification"), static=True)


@dataclass(frozen=True)
class FinePruning(Hypers):
    """Data fine-pruning: examples that often cost more than others are left out of some epochs (Li et al., NPC 2018).

    The paper prints no values but "60 or 30" for the window; all other defaults are inferred (docs/papers/fine-pruning.md).
    """

    curves: ClassVar[Mapping[str, str]] = {"fine-pruning/kept": "share of the training examples that the epoch trains on"}

    window: int = _hyper(60, "epochs over which losses above the mean are counted", low=1, static=True)
    tolerance: float = _hyper(0.0, "a loss counts when it is above the batch's mean times 1 + this", low=-1)
    starting_point: int = _hyper(30, "examples are left out from this epoch of a window on", low=0, static=True)
    attenuation: float = _hyper(2.0, "what starting_point is divided by, whole epochs being kept, as training goes on", low=1, static=True)
    attenuate: str = _hyper(
        "every-epoch",
        "when starting_point is divided, the first window being over: every epoch, as the paper's algorithm has it, at windows' ends, "
        "or never",
        choices=("every-epoch", "once-per-window", "never"),
        static=True,
    )
    block: int = _hyper(10, "epochs of a block", low=1, static=True)
    count: int = _hyper(5, "epochs of a block, its first, in which examples are left out", low=0, static=True)
    prune_share: float = _hyper(
        0.3, "share of the examples that is left out, of highest count; 0 is classic training", low=0, below=1, static=True
    )

    def prunes(self, epoch: int) -> bool:
        """Whether an epoch (from 1) leaves examples out: the paper's two conditions hold, and something may have been counted."""
        return self.due(epoch) and epoch > 1 and epoch % self.window > 0

    def due(self, epoch: int) -> bool:
        """Whether the paper's two conditions hold in an epoch: late enough in its window, early enough in its block."""
        start = self.starting_point
        times = {"never": 0, "once-per-window": epoch // self.window - 1, "every-epoch": epoch - self.window}[self.attenuate]
        for _ in range(min(times, start) if self.attenuation > 1 else 0):
            start = int(start / self.attenuation)
        return epoch % self.window >= start and epoch % self.block < self.count

    @property
    def idle(self) -> bool:
        """Whether examples were to be left out, and in no epoch will be."""
        return self.prune_share > 0 and self.count > 0 and not any(map(self.prunes, range(1, self.epochs + 1)))


ALGORITHMS: dict[str, type[Hypers]] = {"ct": CT, "eef": EEF, "ft": FT, "nft": NFT, "fine-pruning": FinePruning}


def misfits(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What cannot take the data set's examples, as (field, why)."""
    network, dataset = config.get("network", Hypers.network), config.get("dataset", Hypers.dataset)
    shape = DATASETS[dataset].shape
    images, side = len(shape) == 3, _SMALLEST_IMAGE.get(network)
    if config.get("simplifier") == "unet" and not images:
        return [("network", f"simplifier unet needs images, {dataset} has vectors: use simplifier fc")]
    if side and not images:
        return [("network", f"{network} needs images, {dataset} has vectors of {shape[0]}: use fc-a or fc-b")]
    if side and min(shape[1:]) < side:
        too_small = f"{network} needs images of at least {side}×{side}, {dataset} has {shape[1]}×{shape[2]}: use fc-a, fc-b or cnn-a"
        return [("network", too_small)]
    if config.get("normalize") == "channels" and not images:
        return [("normalize", f"channels needs images, {dataset} has vectors: use none")]
    if config.get("augment") == "crop-flip" and not images:
        return [("augment", f"crop-flip needs images, {dataset} has vectors: use none")]
    if config.get("algorithm") == "fine-pruning" and (h := FinePruning(**config)).idle:
        return [("epochs", f"fine-pruning leaves nothing out in {h.epochs} epochs: raise them, or lower window and starting_point")]
    one_number = network == "fc-b" or (images and max(shape[1:]) <= _ONE_PLACE.get(network, 0))  # of an example, where BatchNorm stands
    if config.get("batch_size") == 1 and one_number:
        return [("batch_size", f"BatchNorm in {network} needs at least 2 examples of {dataset} in a batch")]
    return []
