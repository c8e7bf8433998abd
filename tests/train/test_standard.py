"""Images less their channels' mean, divided by its deviation, at the classifier's door."""

from __future__ import annotations

import pytest
import torch

from nftlab.data.task import Split
from nftlab.train.standard import Standard
from tests.train import reference, tiny
from tests.train.test_reference import classifier, everything, masks, orders


def test_channels_are_standard_over_the_training_set() -> None:
    x = torch.randint(0, 256, (2500, 3, 5, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    x[:, 2] = 7
    standard = Standard(Split(x, torch.zeros(2500, dtype=torch.int64)), 1 / 255)
    shown = standard(x.double() / 255)
    assert shown.mean((0, 2, 3)).abs().max() < 1e-12
    torch.testing.assert_close(shown.std((0, 2, 3), correction=0), torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))
    assert standard(x.float() / 255).dtype == torch.float32


def test_a_channel_of_one_value_is_nothing_whatever_rounding_leaves_of_it() -> None:
    x = torch.full((7, 1, 3, 3), 0.1)
    standard = Standard(Split(x, torch.zeros(7, dtype=torch.int64)), 1.0)
    assert not standard(x + 0.01).any()


@pytest.mark.parametrize("algorithm", ["ct", "nft"])
def test_a_network_learns_from_standard_images_and_is_judged_on_them(algorithm: str) -> None:
    data = tiny.task(n=33)
    fields = {"n_f": 2, "ratio_simp": 0.0} if algorithm == "nft" else {}
    pack = tiny.trained(data, tiny.members(2, algorithm, normalize="channels", **fields))
    start = tiny.trained(data, tiny.members(2, algorithm, normalize="channels", **fields), epochs=0)
    lr = tiny.members(2)[1].hypers.lr
    net = classifier("fc-a", start.checkpoint("lane-1"))
    x = data.train.x.double()
    mean, deviation = x.mean(), x.std(correction=0)
    shown = (x - mean) / deviation
    reference.classic(net, shown, data.train.y, orders(data, 1), masks(data, 1, "fc-a"), reference.adam(net, lr, 1e-4))
    assert tiny.distance(tiny.network(pack.checkpoint("lane-1")), everything(net)) <= 1e-9
    net.eval()
    valid = net((data.valid.x.double() - mean) / deviation).argmax(1).ne(data.valid.y).double().mean().item()
    assert pack.train_epoch()[1].epoch == 4
    again = tiny.trained(data, tiny.members(2, algorithm, normalize="channels", **fields), epochs=2).train_epoch()[1]
    assert again.values["val/error"] == pytest.approx(100 * valid)
