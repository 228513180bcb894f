"""Equalizing moves values to the generator's distribution, linearly, in their order; the figure
shows how far.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from networks import small_generator, small_mobile
from PIL import Image
from torch import Tensor

from edits.equalization import equalize, equalize_values
from edits.plots import distribution_figure, distributions
from invert.errors import InvertError, UsageError
from invert.generator import Generator
from invert.latents.distributions import group_means
from invert.latents.latent import Latent
from invert.metrics.distribution_distance import distribution_distances, distribution_parts

GENERATOR = small_generator(dtype=torch.float64)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def spread(generator: Generator, space: str) -> Latent:
    """A batch of two points far from what the generator makes."""
    x = generator.sample([0, 1], space=space)
    g = torch.Generator().manual_seed(0)
    return x.map(lambda t: t * 1.5 + 0.4 * torch.randn(t.shape, generator=g).to(t))


@pytest.mark.parametrize("space", ["W", "NW+", "SW+", "FNW5", "FSW5"])
def test_distances_fall_linearly_and_vanish(space: str) -> None:
    x = spread(GENERATOR, space)
    before = distribution_distances(GENERATOR, x)
    assert all(distance > 0.05 for distance in before.values())
    for amount in (0.25, 0.5, 1.0):
        after = distribution_distances(GENERATOR, equalize(GENERATOR, x, amount))
        assert after == pytest.approx(
            {name: (1 - amount) * d for name, d in before.items()}, abs=1e-9
        )


def test_amount_zero_is_nothing_and_one_the_exact_quantiles() -> None:
    x = spread(GENERATOR, "FNW5")
    assert all(
        torch.equal(s, t)
        for s, t in zip(equalize(GENERATOR, x, 0).tensors(), x.tensors(), strict=True)
    )
    for values, target in distribution_parts(GENERATOR, equalize(GENERATOR, x, 1)).values():
        rows = values.flatten(1).sort(dim=1).values
        assert torch.equal(rows, group_means(target, rows.shape[1]).expand_as(rows))


@pytest.mark.parametrize("amount", [0.3, 1.0])
def test_the_order_of_values_is_kept(amount: float) -> None:
    x = spread(GENERATOR, "FSW5")
    x = x.replace(
        styles=tuple(
            s.expand(-1, -1, 2, 3) + torch.arange(6.0).view(2, 3) / 9 for s in x.style_list()
        )
    )
    after = distribution_parts(GENERATOR, equalize(GENERATOR, x, amount))
    for name, (values, _) in distribution_parts(GENERATOR, x).items():
        rank = values.flatten(1).argsort(dim=1, stable=True)
        assert (after[name][0].flatten(1).gather(1, rank).diff(dim=1) >= 0).all(), name


def test_only_the_named_parts_change_and_points_do_not_mix() -> None:
    x = spread(GENERATOR, "FNW5")
    y = equalize(GENERATOR, x, 0.5, ["features"])
    assert torch.equal(y.styles, x.styles)
    assert torch.equal(y.rgb, x.rgb)
    assert not torch.equal(y.features, x.features)
    assert torch.equal(y.features[:1], equalize(GENERATOR, x[0], 0.5).features)
    assert y.metadata["edits"] == [{"edit": "equalize", "amount": 0.5, "parts": ["features"]}]


def test_values_take_the_target_of_their_rank() -> None:
    values = torch.tensor([[3.0, -1.0, 10.0]])
    target = torch.tensor([0.0, 1.0, 2.0])
    assert torch.equal(equalize_values(values, target, 1.0), torch.tensor([[1.0, 0.0, 2.0]]))
    assert torch.equal(equalize_values(values, target, 0.5), torch.tensor([[2.0, -0.5, 6.0]]))


@pytest.mark.parametrize("amount", [-0.1, 1.5, float("nan")])
def test_amounts_outside_are_refused(amount: float) -> None:
    with pytest.raises(UsageError, match="amount is a number in"):
        equalize(GENERATOR, GENERATOR.sample(0), amount)


def test_parts_that_are_not_there_are_refused() -> None:
    with pytest.raises(UsageError, match=r"W has no features to equalize here; it has styles"):
        equalize(GENERATOR, GENERATOR.sample(0), 0.5, ["features"])
    mobile = small_mobile()
    with pytest.raises(UsageError, match="has no rgb to equalize here; it has styles, features"):
        equalize(mobile, mobile.sample(0, space="FW5"), 0.5, ["rgb"])
    with pytest.raises(
        UsageError, match="Z has no parts to equalize here; it has none: convert it to W first"
    ):
        equalize(GENERATOR, GENERATOR.sample(0, space="Z"), 0.5)
    with pytest.raises(UsageError, match="no parts"):
        equalize(GENERATOR, GENERATOR.sample(0), 0.5, [])


def test_distances_are_those_of_every_part_and_of_noise_to_the_normal() -> None:
    x = GENERATOR.sample([0, 1], space="FNW5")
    g = torch.Generator().manual_seed(0)

    def drawn(scale: float) -> tuple[Tensor, ...]:
        return tuple(
            scale * torch.randn(n.shape, generator=g, dtype=n.dtype) for n in x.noise or ()
        )

    found = {d.name: d.distance for d in distributions(GENERATOR, x.replace(noise=drawn(1)))}
    assert list(found) == ["styles", "features", "rgb", "noise"]
    assert found["noise"] < 0.03
    assert found["styles"] == pytest.approx(distribution_distances(GENERATOR, x)["styles"])
    wrong = {d.name: d.distance for d in distributions(GENERATOR, x.replace(noise=drawn(2)))}
    assert wrong["noise"] == pytest.approx((2 / torch.pi) ** 0.5, abs=0.03)  # E|2n − n|


def test_the_figure_is_a_whole_png_with_the_distances_it_returns(tmp_path: Path) -> None:
    x = spread(GENERATOR, "FNW5")
    path = tmp_path / "stats.png"
    distances = distribution_figure(GENERATOR, x, path)
    assert distances == {d.name: d.distance for d in distributions(GENERATOR, x)}
    with Image.open(path) as image:
        assert image.size == (4 * 480, 360)
        assert image.info.get("Software") is None
    before = path.read_bytes()
    distribution_figure(GENERATOR, x, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["stats.png"]


def test_figures_that_cannot_be_written_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = GENERATOR.sample(0)
    with pytest.raises(UsageError, match="name that ends in"):
        distribution_figure(GENERATOR, x, tmp_path / "stats.jpg")
    with pytest.raises(UsageError, match="Z has no distribution to show"):
        distribution_figure(GENERATOR, GENERATOR.sample(0, space="Z"), tmp_path / "stats.png")
    with pytest.raises(InvertError, match="cannot be written"):
        distribution_figure(GENERATOR, x, tmp_path / "missing" / "stats.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"pip install 'invert\[plots\]'"):
        distribution_figure(GENERATOR, x, tmp_path / "stats.png")
    assert not list(tmp_path.iterdir())
