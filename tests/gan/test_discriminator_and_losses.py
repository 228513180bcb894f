"""Networks and losses of a training are those of the formulas, computed anew in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from reference import adam_step, discriminator, gradient

from invert.checkpoints.checkpoint import stylegan2_config
from invert.gan.discriminator import Discriminator, minibatch_std
from invert.gan.losses import (
    PATH_DECAY,
    discriminator_loss,
    generator_loss,
    path_lengths,
    path_penalty,
    r1_penalty,
)
from invert.gan.trainable_generator import TrainableGenerator, styles_of
from invert.gan.training import descend, lazy_adam
from invert.networks.initialize import untrained_stylegan2
from invert.networks.stylegan2 import StyleGAN2

SIZE = 16


@pytest.fixture(scope="module")
def net() -> Discriminator:
    made = Discriminator(SIZE, channel_base=64, channel_max=6, group=2, seed=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in made.named_parameters():
            if name.endswith("bias"):
                p.copy_(0.3 * torch.randn(p.shape, generator=generator))
    return made


def images(count: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def arrays(net: Discriminator) -> dict[str, np.ndarray]:
    return {k: v.detach().double().numpy() for k, v in net.named_parameters()}


def test_logits_are_those_of_the_formulas(net: Discriminator) -> None:
    x = images()
    expected = discriminator(arrays(net), x.double().numpy(), group=2)
    assert net(x).flatten().tolist() == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-4)
    assert np.ptp(expected) > 0.1  # they tell images apart


def test_the_spread_of_equal_images_is_zero_and_grows_with_them() -> None:
    same = images(1).expand(4, -1, -1, -1)
    assert minibatch_std(same, 4).max() < 1e-3
    assert torch.allclose(minibatch_std(2 * images(), 4), 2 * minibatch_std(images(), 4), rtol=1e-4)


def test_r1_is_the_squared_gradient_of_central_differences(net: Discriminator) -> None:
    t, x = arrays(net), images(2)
    every = np.arange(x.numel())
    found = gradient(lambda y: float(discriminator(t, y, group=2).sum()), x.numpy(), every[::97])

    asked = x.clone().requires_grad_()
    logits = net(asked)
    [ours] = torch.autograd.grad(logits.sum(), asked, retain_graph=True)
    assert ours.flatten()[::97].tolist() == pytest.approx(found.tolist(), rel=1e-3, abs=1e-5)
    expected = ours.double().square().sum().item() / 2
    assert r1_penalty(logits, asked).item() == pytest.approx(expected, rel=1e-5)


def test_logistic_losses_are_those_of_probabilities() -> None:
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [-3.0]])
    p_real, p_fake = torch.sigmoid(real), torch.sigmoid(fake)
    assert torch.allclose(generator_loss(fake), -p_fake.log().mean())
    expected = -p_real.log().mean() - (1 - p_fake).log().mean()
    assert torch.allclose(discriminator_loss(real, fake), expected)


def test_path_lengths_are_those_of_the_whole_jacobian() -> None:
    tensors = untrained_stylegan2(
        8, channel_base=64, channel_max=6, z_dim=5, w_dim=5, mapping_layers=1, seed=2
    )
    tensors = {k: v.double() for k, v in tensors.items()}
    network = StyleGAN2(tensors).double()
    styles = torch.randn(2, network.num_ws, 5, generator=torch.Generator().manual_seed(4)).double()

    def paint(rows: torch.Tensor) -> torch.Tensor:
        start = network.start().expand(len(rows), -1, -1, -1)
        noise = [torch.zeros(1, 1, *network.noise_const(i).shape[2:]).double() for i in range(1, 4)]
        return network.synthesize(start, None, list(rows.unbind(1)), noise)

    asked = styles.clone().requires_grad_()
    y_random, ours_random = (torch.Generator().manual_seed(9) for _ in range(2))
    ours = path_lengths(paint(asked), asked, ours_random)

    # The Jacobian of each image [3 · 8 · 8, num_ws · w_dim], times the same y.
    y = torch.randn(2, 3, 8, 8, generator=y_random) / math.sqrt(64)
    for k in range(2):
        jacobian = torch.autograd.functional.jacobian(paint, styles[k : k + 1])
        projected = torch.einsum("chw,chwsd->sd", y[k].double(), jacobian[0, :, :, :, 0])
        expected = projected.square().sum(1).mean().sqrt().item()
        assert ours[k].item() == pytest.approx(expected, rel=1e-6)


def test_the_path_penalty_measures_from_a_running_mean() -> None:
    penalty, mean = path_penalty(torch.tensor([1.0, 3.0]), torch.tensor(0.5))
    expected = 0.5 + PATH_DECAY * (2 - 0.5)
    assert mean.item() == pytest.approx(expected)
    assert penalty.item() == pytest.approx(((1 - expected) ** 2 + (3 - expected) ** 2) / 2)


def test_a_step_of_the_discriminator_is_adam_along_differences(net: Discriminator) -> None:
    lr, every, x, fake = 0.002, 16, images(2, seed=5), images(2, seed=6)
    t, name = arrays(net), "b4.conv.weight"
    before = t[name].copy()
    real64, fake64 = x.double().numpy(), fake.double().numpy()

    # The gradient of the loss by differences, at some weights.
    def loss(weight: np.ndarray) -> float:
        changed = {**t, name: weight}
        real, made = (discriminator(changed, y, group=2) for y in (real64, fake64))
        return float(np.logaddexp(0, -real).mean() + np.logaddexp(0, made).mean())

    places = np.arange(before.size)[::150]
    expected = adam_step(
        before.flat[places], gradient(loss, before, places), lr * 16 / 17, 0.99 ** (16 / 17)
    )

    adam = lazy_adam(net.parameters(), lr, every)
    kept = {k: v.clone() for k, v in net.state_dict().items()}
    descend(discriminator_loss(net(x), net(fake)), adam)
    found = net.get_parameter(name).detach().flatten()[torch.from_numpy(places)]
    net.load_state_dict(kept)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-4 * lr)


def test_the_trained_network_is_the_one_that_is_saved() -> None:
    tensors = untrained_stylegan2(
        16, channel_base=64, channel_max=8, z_dim=8, w_dim=8, mapping_layers=2
    )
    trainable = TrainableGenerator(tensors, stylegan2_config())
    random = torch.Generator().manual_seed(0)

    # A step of training changes everything that is a parameter.
    network = trainable.network()
    _, styles = styles_of(network, 2, random, 1.0)
    start = trainable.start(network, 2, random)
    noise = [torch.randn(2, *network.noise_const(i).shape[1:]) for i in range(1, network.num_ws)]
    image = network.synthesize(start, None, styles.unbind(1), noise)
    descend(image.square().mean(), lazy_adam(trainable.parameters.values(), 0.01, 4))

    saved, config = trainable.checkpoint()
    unchanged = [k for k, v in saved.items() if torch.equal(v, tensors[k])]
    assert all(k.endswith(("w_avg", "noise_const")) for k in unchanged)
    a, b = trainable.network(), StyleGAN2(saved, **config)
    with torch.no_grad():
        images = [n.synthesize(start, None, styles.unbind(1), noise) for n in (a, b)]
    assert torch.allclose(*images, atol=1e-6)
