"""The separable layer in strips: what it computes, its derivatives, any height of a strip."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from networks import small_mobile
from torch import Tensor

from invert.networks import mobile_stylegan, separable
from invert.networks.haar import HaarSynthesis
from invert.networks.separable import SLOPE, Head, separable_layer


class Case(NamedTuple):
    x: Tensor
    style: Tensor
    noise: Tensor | None
    depthwise: Tensor
    pointwise: Tensor
    bias: Tensor
    upsamples: bool
    head: Head | None = None


def case(
    upsamples: bool,
    batch: int = 2,
    shared: bool = False,
    noise: bool = True,
    head: bool = False,
) -> Case:
    """A layer from 3 to 5 channels, with maps of 6×10 cells, and a head that makes 4 of them."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=random)

    channels, (h, w) = (12, (3, 5)) if upsamples else (3, (6, 10))
    rows = 1 if shared else batch
    return Case(
        normal(batch, channels, h, w).requires_grad_(),
        normal(rows, channels, 1, 1).requires_grad_(),
        normal(rows, 1, 6, 10).requires_grad_() if noise else None,
        normal(3, 1, 3, 3),
        normal(5, 3),
        normal(5),
        upsamples,
        Head(normal(rows, 4, 5).requires_grad_(), normal(4)) if head else None,
    )


def by_definition(c: Case) -> Tensor:
    y = c.x * c.style
    y = HaarSynthesis.apply(y) if c.upsamples else y
    z = F.conv2d(y, c.depthwise, padding=1, groups=len(c.depthwise))
    z = F.conv2d(z, c.pointwise[:, :, None, None], c.bias)
    z = F.leaky_relu(z if c.noise is None else z + c.noise, SLOPE)
    if c.head is None:
        return z
    weights = c.head.weights.expand(len(z), -1, -1)
    return torch.einsum("njk,nkhw->njhw", weights, z) + c.head.bias[:, None, None]


@pytest.fixture(params=[1, 10 * 5 * 8 * 4, 1 << 20], ids=["2 rows", "4 rows", "all rows"])
def strip(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of a height that divides the map's, of one that does not, and all of it."""
    monkeypatch.setattr(separable, "STRIP", request.param)


@pytest.mark.usefixtures("strip")
@pytest.mark.parametrize("upsamples", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("head", [False, True])
def test_it_is_the_layer_by_definition(
    upsamples: bool, shared: bool, noise: bool, head: bool
) -> None:
    c = case(upsamples, shared=shared, noise=noise, head=head)
    torch.testing.assert_close(separable_layer(*c), by_definition(c))


@pytest.mark.usefixtures("strip")
@pytest.mark.parametrize("upsamples", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_derivatives_are_those_of_differences(upsamples: bool, shared: bool) -> None:
    c = case(upsamples, shared=shared)
    assert c.noise is not None
    assert torch.autograd.gradcheck(
        lambda x, style, noise: separable_layer(x, style, noise, *c[3:]),
        (c.x, c.style, c.noise),
        check_forward_ad=True,
    )


@pytest.mark.usefixtures("strip")
@pytest.mark.parametrize("shared", [False, True])
def test_derivatives_through_a_head_are_those_of_differences(shared: bool) -> None:
    c = case(upsamples=False, shared=shared, head=True)
    assert c.noise is not None
    assert c.head is not None
    bias = c.head.bias
    assert torch.autograd.gradcheck(
        lambda x, style, noise, weights: separable_layer(
            x, style, noise, *c[3:7], Head(weights, bias)
        ),
        (c.x, c.style, c.noise, c.head.weights),
        check_forward_ad=True,
    )


def test_a_head_makes_planes() -> None:
    planes = separable_layer(*case(upsamples=False, head=True))
    assert planes.is_contiguous()
    assert not separable_layer(*case(upsamples=False)).is_contiguous()


@pytest.mark.parametrize("wanted", ["x", "style", "noise"])
def test_one_gradient_alone_is_the_same(wanted: str) -> None:
    c = case(upsamples=True, head=True)
    separable_layer(*c).square().sum().backward()
    together = getattr(c, wanted).grad

    assert c.head is not None
    alone = Case(*(t.detach() if isinstance(t, Tensor) else t for t in c))
    alone = alone._replace(head=Head(c.head.weights.detach(), c.head.bias))
    leaf = getattr(alone, wanted).requires_grad_()
    separable_layer(*alone).square().sum().backward()
    assert torch.equal(leaf.grad, together)


def test_one_map_with_many_styles_is_repeated() -> None:
    c = case(upsamples=True)
    one = c._replace(x=c.x[:1].detach().requires_grad_())
    expected = c._replace(x=one.x.expand_as(c.x))
    torch.testing.assert_close(separable_layer(*one), by_definition(expected))
    separable_layer(*one).sum().backward()
    assert one.x.grad is not None
    assert one.x.grad.shape == one.x.shape


def test_a_sample_does_not_depend_on_the_others() -> None:
    c = case(upsamples=True, head=True)
    assert c.noise is not None
    assert c.head is not None
    head = Head(c.head.weights[1:], c.head.bias)
    alone = Case(c.x[1:], c.style[1:], c.noise[1:], *c[3:7], head)
    assert torch.equal(separable_layer(*c)[1:], separable_layer(*alone))


@pytest.mark.parametrize("picture", ["render", "preview"])
def test_a_generator_renders_the_same_without_strips(
    picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = small_mobile()
    latent = generator.convert(generator.sample([0, 1]), "FNW3")

    def picture_and_gradients() -> list[Tensor]:
        point = latent.map(lambda t: t.clone().requires_grad_())
        image = (
            generator.render(point)
            if picture == "render"
            else generator.preview(point, generator.preview_sizes[-1])
        )
        leaves = [point.features, point.style_tensor(), *(point.noise or ())]
        found = torch.autograd.grad(image.square().sum(), leaves, allow_unused=True)
        return [image.detach(), *(g for g in found if g is not None)]

    in_strips = picture_and_gradients()
    monkeypatch.setattr(mobile_stylegan, "fits_strips", lambda x: False)
    whole = picture_and_gradients()
    assert len(in_strips) == len(whole) > 3
    assert (in_strips[0] - whole[0]).norm() < 1e-5 * whole[0].norm()
    for found, expected in zip(in_strips, whole, strict=True):
        # Rounding moves some values across the leaky ReLU's kink.
        assert (found - expected).norm() < 1e-3 * expected.norm()
    assert not all(map(torch.equal, in_strips, whole))  # two ways, not one
