"""What each resolution adds: the addends make the picture, and shares are of their deviations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from networks import small_checkpoint, small_generator, small_map_generator, small_mobile

from invert.checkpoints import Checkpoint
from invert.errors import UsageError
from invert.loading import generator_from_checkpoint
from invert.metrics.generated import sampled
from invert.metrics.resolutions import resolution_shares, rgb_addends


@pytest.mark.parametrize("first", [1, 3])
def test_upsampled_addends_sum_to_the_picture(first: int) -> None:
    generator = small_generator(32) if first == 1 else small_map_generator(first, resolution=32)
    latent = sampled(generator, [1, 2])
    addends, image = rgb_addends(generator, latent)
    assert [a.shape[2] for a in addends] == [4, 8, 16, 32][first // 2 :]
    torch.testing.assert_close(image, generator.render(latent), rtol=1e-4, atol=1e-5)

    # Zeros between the cells, then the filter [1, 3, 3, 1] / 4 per axis.
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    weight = torch.outer(taps, taps).expand(3, 1, 4, 4)
    total = addends[0]
    for addend in addends[1:]:
        total = addend + F.conv_transpose2d(total, weight, stride=2, padding=1, groups=3)
    torch.testing.assert_close(total, image, rtol=1e-4, atol=1e-5)


def test_deviations_are_those_of_all_values_and_shares_sum_to_one() -> None:
    generator = small_generator(32)
    found, std = resolution_shares(generator, range(5), batch=2)
    addends, image = rgb_addends(generator, sampled(generator, range(5)))
    for addend, values in zip(found, addends, strict=True):
        assert addend.std == pytest.approx(values.std(correction=0).item(), rel=1e-4)
        assert addend.size == tuple(values.shape[2:])
    assert std == pytest.approx(image.std(correction=0).item(), rel=1e-4)
    assert sum(addend.share for addend in found) == pytest.approx(1)


@pytest.mark.parametrize("only", [4, 16, 32])
def test_a_network_that_paints_at_one_resolution_has_all_of_its_share_there(only: int) -> None:
    checkpoint = small_checkpoint(32)
    tensors = {
        name: torch.zeros_like(t) if ".torgb.weight" in name and f".b{only}." not in name else t
        for name, t in checkpoint.tensors.items()
    }
    alone = Checkpoint("stylegan2", "invert", checkpoint.config, tensors, {})
    found, std = resolution_shares(generator_from_checkpoint(alone), range(3))
    assert [a.share for a in found] == [float(a.size[0] == only) for a in found]
    assert std > 0


def test_a_network_without_rgb_sums_is_refused() -> None:
    with pytest.raises(UsageError, match="got small-mobile: mobile-stylegan makes them in one"):
        resolution_shares(small_mobile(), [0])
