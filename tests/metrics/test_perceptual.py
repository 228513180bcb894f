"""Perceptual distances: a distance's properties on small random trunks, and parity with the
originals.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn

from invert.errors import ModelFileError, ModelUnavailableError, UsageError
from invert.metrics.perceptual import PERCEPTUAL, PerceptualDistance, load_perceptual
from invert.metrics.shift_tolerant import BlurPool, BlurredConv
from invert.weights import MODELS, ensure
from invert.weights.weights_file import write_weights

ALEXNET_SIDES = (11, 5, 3, 3, 3)
VGG16_SIDES = (3,) * 13
# convolution that ends each
DEPTHS = {
    "st-lpips-alex": (0, 1, 2, 3, 4),
    "st-lpips-vgg": (1, 3, 6, 9, 12),
    "lpips-alex": (0, 1, 2, 3, 4),
    "lpips-vgg": (1, 3, 6, 9, 12),
}


def small_weights(name: str, channels: int = 4) -> dict[str, Tensor]:
    """Random weights under the real names, with few channels, a different number in each layer."""
    random = torch.Generator().manual_seed(0)
    sides = ALEXNET_SIDES if name.endswith("alex") else VGG16_SIDES
    tensors: dict[str, Tensor] = {}
    inputs = 3
    for index, side in enumerate(sides):
        outputs = channels + index
        weight = torch.randn(outputs, inputs, side, side, generator=random)
        tensors[f"conv{index}.weight"] = weight * (2 / (inputs * side**2)) ** 0.5
        tensors[f"conv{index}.bias"] = torch.randn(outputs, generator=random) / 4
        inputs = outputs
    for depth, index in enumerate(DEPTHS[name]):
        tensors[f"head{depth}"] = torch.rand(channels + index, generator=random)
    return tensors


@pytest.fixture(params=DEPTHS)
def distance(request: pytest.FixtureRequest, tmp_path: Path) -> PerceptualDistance:
    name = request.param
    write_weights(tmp_path / f"{name}.safetensors", MODELS[name], small_weights(name))
    return load_perceptual(name, cache_dir=tmp_path)


def pictures(count: int, size: tuple[int, int] = (40, 45), seed: int = 1) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


# --- the properties of a distance
# -----------------------------------------------------------------------


def test_one_distance_per_pair_positive_symmetric_and_zero_for_equal_images(
    distance: PerceptualDistance,
) -> None:
    x, y = pictures(3), pictures(3, seed=2)
    d = distance(x, y)
    assert d.shape == (3,)
    assert (d > 1e-4).all()
    assert torch.equal(d, distance(y, x))
    assert torch.equal(distance(x, x), torch.zeros(3))


def test_a_batch_is_its_images_one_by_one(distance: PerceptualDistance) -> None:
    x, y = pictures(3), pictures(3, seed=2)
    singly = torch.cat([distance(x[i : i + 1], y[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(distance(x, y), singly, rtol=1e-5, atol=1e-7)


def test_a_target_embedded_once_gives_the_distances_of_forward(
    distance: PerceptualDistance,
) -> None:
    x, y = pictures(3), pictures(1, seed=2)
    target = distance.embed(y)
    assert len(target) == 5
    expected = distance(x, y.expand(3, -1, -1, -1))
    torch.testing.assert_close(
        distance.between(distance.embed(x), target), expected, rtol=1e-5, atol=1e-7
    )


def test_distances_to_an_embedding_have_the_derivatives_of_the_long_way(
    distance: PerceptualDistance,
) -> None:
    x, target = pictures(3).requires_grad_(), distance.embed(pictures(1, seed=2))
    short, long = distance.to_embedded(x, target), distance.between(distance.embed(x), target)
    torch.testing.assert_close(short, long, rtol=1e-5, atol=1e-7)

    found, expected = (torch.autograd.grad(d.sum(), x)[0] for d in (short, long))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


def test_an_embedding_of_another_size_is_refused(distance: PerceptualDistance) -> None:
    target = distance.embed(pictures(1, (40, 32)))
    with pytest.raises(UsageError, match="of one size"):
        distance.to_embedded(pictures(1, (32, 40)), target)


def test_a_shallow_distance_is_the_sum_over_the_first_depths(distance: PerceptualDistance) -> None:
    x, y = pictures(2), pictures(2, seed=2)
    first = distance.between(distance.embed(x)[:3], distance.embed(y)[:3])
    torch.testing.assert_close(distance.shallow(3)(x, y), first)
    torch.testing.assert_close(distance.shallow(5)(x, y), distance(x, y))


def test_an_embedding_has_the_length_its_heads_allow(distance: PerceptualDistance) -> None:
    for depth, embedding in enumerate(distance.embed(pictures(1))):
        head = distance.get_buffer(f"head_root{depth}").square()
        lengths = embedding.square().sum(dim=1)
        unweighted = (embedding.square() / head).sum(dim=1)
        assert (lengths <= head.max() + 1e-6).all()
        assert ((unweighted - 1).abs() < 1e-4).logical_or(unweighted == 0).all()


def test_the_gradient_is_that_of_the_value_and_reaches_the_image_only(
    distance: PerceptualDistance,
) -> None:
    distance = distance.double()
    x, y = pictures(1).double().requires_grad_(), pictures(1, seed=2).double()
    distance(x, y).sum().backward()
    direction = pictures(1, seed=3).double()
    step = 1e-7  # small enough to cross almost no kink of a ReLU or a pool
    with torch.no_grad():
        slope = (distance(x + step * direction, y) - distance(x - step * direction, y)) / (2 * step)
    torch.testing.assert_close((x.grad * direction).sum(), slope[0], rtol=1e-3, atol=1e-7)
    assert not any(parameter.requires_grad for parameter in distance.parameters())
    assert not distance.training


@pytest.mark.parametrize("name", DEPTHS)
def test_a_trunk_that_sees_nothing_gives_zero_and_a_finite_gradient(
    tmp_path: Path, name: str
) -> None:
    tensors = small_weights(name)
    for key in tensors:
        if key.endswith("bias"):
            tensors[key] -= 100
    write_weights(tmp_path / f"{name}.safetensors", MODELS[name], tensors)
    x = pictures(1).requires_grad_()
    d = load_perceptual(name, cache_dir=tmp_path)(x, pictures(1, seed=2))
    d.sum().backward()
    assert d.item() == 0
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("name", DEPTHS)
@pytest.mark.parametrize("size", [(32, 32), (33, 50), (64, 47)])
def test_distances_are_those_of_a_literal_reading(
    tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    # The definition without a shortcut: dense convolutions and pools, then reflect, blur, take
    # every second.
    tensors = small_weights(name)
    write_weights(tmp_path / f"{name}.safetensors", MODELS[name], tensors)
    x, y = pictures(2, size), pictures(2, size, seed=2)

    def blur(image: Tensor) -> Tensor:
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4
        padded = F.pad(image, (2, 2, 2, 2), mode="reflect")
        rows = sum(tap * padded[:, :, k : padded.shape[2] - 2 + k] for k, tap in enumerate(taps))
        both = sum(tap * rows[:, :, :, k : rows.shape[3] - 2 + k] for k, tap in enumerate(taps))
        return both[:, :, ::2, ::2]

    def activations(image: Tensor) -> Iterator[Tensor]:
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        image = (image - shift[:, None, None]) / scale[:, None, None]
        alex, tolerant = name.endswith("alex"), name.startswith("st-")
        pooled = (1, 2) if alex else (2, 4, 7, 10)
        for index, side in enumerate(ALEXNET_SIDES if alex else VGG16_SIDES):
            if index in pooled:
                stride = 1 if tolerant else 2
                image = F.max_pool2d(image, 3 if alex else 2, stride=stride)
                image = blur(image) if tolerant else image
            first = alex and index == 0
            weight, bias = tensors[f"conv{index}.weight"], tensors[f"conv{index}.bias"]
            stride = 4 if first and not tolerant else 1
            padding = 2 if first else side // 2
            image = F.conv2d(image, weight, bias, stride=stride, padding=padding)
            image = F.relu(blur(image) if first and tolerant else image)
            if index in DEPTHS[name]:
                yield image

    expected = torch.zeros(2)
    for depth, (a, b) in enumerate(zip(activations(x), activations(y), strict=True)):
        a, b = (m / (m.square().sum(1, keepdim=True).sqrt() + 1e-10) for m in (a, b))
        expected += ((a - b).square() * tensors[f"head{depth}"][:, None, None]).sum(1).mean((1, 2))
    found = load_perceptual(name, cache_dir=tmp_path)(x, y)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


# --- the layers
# -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(9, 9), (10, 13), (12, 8)])
def test_blurred_convolution_is_convolution_then_blur_in_value_and_gradient(
    size: tuple[int, int],
) -> None:
    random = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(5, 3, 11, 11, generator=random), torch.randn(5, generator=random)
    layer, pool = BlurredConv(weight.double(), bias.double()).double(), BlurPool(5).double()
    x = pictures(2, (size[0] + 4, size[1] + 4)).double()
    first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
    fast = layer(first)
    literal = pool(F.conv2d(second, weight.double(), bias.double(), padding=2))
    cotangent = torch.randn(literal.shape, generator=random, dtype=torch.float64)
    fast.backward(cotangent)
    literal.backward(cotangent)
    torch.testing.assert_close(fast, literal, rtol=0, atol=1e-12)
    torch.testing.assert_close(first.grad, second.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("side", [5, 6, 7, 8])
def test_blur_pool_keeps_constants_and_has_the_documented_size(side: int) -> None:
    y = BlurPool(2)(torch.full((1, 2, side, side + 1), 0.5))
    assert y.shape == (1, 2, (side + 1) // 2 + 1, (side + 2) // 2 + 1)
    assert torch.equal(y, torch.full_like(y, 0.5))


# --- what is refused
# ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 31, 64), (1, 3, 64, 31)])
def test_anything_but_rgb_images_of_32_px_is_refused(
    distance: PerceptualDistance, shape: tuple[int, ...]
) -> None:
    with pytest.raises(
        UsageError, match=r"expected images \[N, 3, H, W\] of at least 32 px a side, got \["
    ):
        distance.embed(torch.zeros(shape))


def test_images_of_two_sizes_are_refused(distance: PerceptualDistance) -> None:
    with pytest.raises(
        UsageError,
        match=r"expected embeddings of images of one size, got first maps of \(\d+, \d+\) and \(",
    ):
        distance(pictures(1, (40, 40)), pictures(1, (40, 64)))


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"one of st-lpips-alex, .*lpips-squeeze; got 'lpips'"):
        load_perceptual("lpips", cache_dir=tmp_path)
    assert set(PERCEPTUAL) >= {name for name, model in MODELS.items() if model.kind == "perceptual"}


def test_a_trunk_is_refused_where_none_is_needed(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"st-lpips-vgg has its own backbone; lpips_weights= is for lpips-alex"
    ):
        load_perceptual("st-lpips-vgg", lpips_weights=tmp_path / "vgg.pth", cache_dir=tmp_path)


@pytest.mark.parametrize("damage", ["missing", "shape", "head"])
def test_a_cached_file_with_other_tensors_is_refused_by_path(tmp_path: Path, damage: str) -> None:
    tensors = small_weights("st-lpips-alex")
    if damage == "missing":
        del tensors["conv3.weight"]
    elif damage == "shape":
        tensors["conv3.bias"] = torch.zeros(99)
    else:
        del tensors["head4"]
    path = tmp_path / "st-lpips-alex.safetensors"
    write_weights(path, MODELS["st-lpips-alex"], tensors)
    with pytest.raises(
        ModelFileError, match=r"st-lpips-alex\.safetensors: not the weights of st-lpips-alex"
    ):
        load_perceptual("st-lpips-alex", cache_dir=tmp_path)


# --- LPIPS on torchvision's trunks
# ----------------------------------------------------------------------

TRUNKS = {
    "lpips-alex": torchvision.models.alexnet,
    "lpips-squeeze": torchvision.models.squeezenet1_1,
    "lpips-vgg": torchvision.models.vgg16,
}


def random_backbone(name: str) -> dict[str, Tensor]:
    """A state dictionary with the features' names and shapes of torchvision's classifier."""
    random = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        features: nn.Module = TRUNKS[name](weights=None).features
    return {
        f"features.{key}": torch.randn(value.shape, generator=random)
        * (2 / value[0].numel()) ** 0.5
        for key, value in features.state_dict().items()
    }


@pytest.mark.parametrize(
    "name", ["lpips-alex", "lpips-squeeze", pytest.param("lpips-vgg", marks=pytest.mark.slow)]
)
def test_lpips_agrees_with_the_package_on_any_trunk(tmp_path: Path, name: str) -> None:
    import lpips

    state = random_backbone(name)
    torch.save(state, tmp_path / "backbone.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package calls torchvision in a way that is going away
        original = lpips.LPIPS(net=name.removeprefix("lpips-"), pnet_rand=True, verbose=False)
    for key in original.net.state_dict():
        # In the package a layer keeps its number, behind the name of its slice.
        original.net.get_parameter(key).data = state[f"features.{key.split('.', 1)[1]}"]
    x, y = pictures(2, (64, 70)), pictures(2, (64, 70), seed=2)
    found = load_perceptual(name, lpips_weights=tmp_path / "backbone.pth")(x, y)
    with torch.no_grad():
        torch.testing.assert_close(found, original(x, y).flatten(), rtol=1e-5, atol=1e-7)


@pytest.fixture
def torch_cache(tmp_path: Path) -> Iterator[Path]:
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    yield tmp_path / "hub" / "checkpoints"
    torch.hub.set_dir(before)


def test_distances_do_not_import_torchvision_nor_the_package_lpips() -> None:
    code = "import sys, invert.metrics.perceptual; print({'torchvision', 'lpips'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_a_trunk_in_torchs_cache_is_found_and_one_that_is_not_is_named(torch_cache: Path) -> None:
    path = torch_cache / "squeezenet1_1-b8a52dc0.pth"
    with pytest.raises(ModelUnavailableError) as caught:
        load_perceptual("lpips-squeeze")
    assert str(caught.value) == (
        f"{path}: no such file; lpips-squeeze needs torchvision's squeezenet1_1-b8a52dc0.pth, "
        "which is not downloaded for you: put it there, give its path as lpips_weights=, "
        "or use lpips-alex"
    )
    torch.save(random_backbone("lpips-squeeze"), path)
    assert load_perceptual("lpips-squeeze").name == "lpips-squeeze"


def test_a_trunk_that_is_none_is_refused_by_path(tmp_path: Path) -> None:
    path = tmp_path / "backbone.pth"
    path.write_bytes(b"no weights")
    with pytest.raises(ModelFileError, match=r"backbone\.pth: not a readable weights file"):
        load_perceptual("lpips-alex", lpips_weights=path)
    torch.save([1, 2], path)
    with pytest.raises(
        ModelFileError, match=r"backbone\.pth: expected a state dictionary, got list"
    ):
        load_perceptual("lpips-alex", lpips_weights=path)
    torch.save(random_backbone("lpips-squeeze"), path)
    with pytest.raises(
        ModelFileError, match=r"backbone\.pth: expected torchvision's alexnet-owt-7be5be79\.pth"
    ):
        load_perceptual("lpips-alex", lpips_weights=path)


def test_lpips_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(random_backbone("lpips-squeeze"), tmp_path / "backbone.pth")
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(
        ModelUnavailableError, match="needs the package lpips for its heads: pip install lpips"
    ):
        load_perceptual("lpips-squeeze", lpips_weights=tmp_path / "backbone.pth")


# --- the real weights
# -----------------------------------------------------------------------------------

# Per depth and in all, by the package stlpips-pytorch 0.0.2 itself on the two pictures below, torch
# 2.14, CPU.
RECORDED = {
    "st-lpips-alex": (
        (0.002416709, 0.008057176, 0.067876153, 0.081033096, 0.134808853),
        0.294191986,
    ),
    "st-lpips-vgg": (
        (0.017576845, 0.022274053, 0.012791067, 0.052974153, 0.040581096),
        0.146197215,
    ),
}


def recorded_pictures() -> tuple[Tensor, Tensor]:
    row, column = torch.meshgrid(*[torch.arange(64, dtype=torch.float64)] * 2, indexing="ij")
    x = torch.stack([torch.sin((row * (c + 1) + 2 * column) / 7) for c in range(3)])
    y = torch.stack([torch.cos(row * column / (60 + 10 * c)) for c in range(3)])
    return x.float()[None], (0.7 * x + 0.3 * y).float()[None]


# A value that the documentation of torchmetrics gives for the package lpips with torchvision's
# weights: the mean over ten pairs drawn after seed 123 and the making of the package's network.
TORCHMETRICS_VGG = 0.3493


@pytest.mark.slow
def test_lpips_vgg_is_what_torchmetrics_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    import lpips

    vgg16 = torchvision.models.vgg16

    # As many random numbers are drawn as where torchvision then reads its file.
    def unfilled(pretrained: bool) -> nn.Module:
        return vgg16(weights=None, init_weights=False)

    monkeypatch.setattr(lpips.pretrained_networks.tv, "vgg16", unfilled)
    with torch.random.fork_rng():
        torch.manual_seed(123)
        lpips.LPIPS(net="vgg", verbose=False)
        x, y = (torch.rand(10, 3, 100, 100) * 2 - 1 for _ in range(2))
    assert load_perceptual("lpips-vgg")(x, y).mean().item() == pytest.approx(
        TORCHMETRICS_VGG, abs=5e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lpips-alex", "lpips-vgg"])
def test_registered_lpips_is_the_package_on_the_same_backbone(tmp_path: Path, name: str) -> None:
    import lpips

    tensors = load_file(ensure(name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package calls torchvision in a way that is going away
        original = lpips.LPIPS(net=name.removeprefix("lpips-"), pnet_rand=True, verbose=False)

    # The package's own heads, and our backbone in torchvision's network, in order of layers.
    for depth in range(5):
        head = getattr(original, f"lin{depth}").model[1].weight
        assert torch.equal(head.flatten(), tensors[f"head{depth}"])
    parameters = dict(original.net.named_parameters())
    for place, key in enumerate(sorted(parameters, key=lambda key: int(key.split(".")[1]) * 2)):
        parameters[key].data = tensors[f"conv{place // 2}.{key.rsplit('.', 1)[1]}"]

    for size in [(64, 64), (65, 90), (256, 256)]:
        x, y = pictures(2, size), pictures(2, size, seed=2)
        with torch.no_grad():
            torch.testing.assert_close(
                load_perceptual(name)(x, y), original(x, y).flatten(), rtol=0, atol=1e-6
            )


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_shift_tolerant_distances_are_those_of_the_original_package(name: str) -> None:
    distance = load_perceptual(name)
    x, y = (distance.embed(picture) for picture in recorded_pictures())
    per_depth = [(a - b).square().sum(dim=1).mean().item() for a, b in zip(x, y, strict=True)]
    assert per_depth == pytest.approx(RECORDED[name][0], abs=1e-6)
    assert distance.between(x, y).item() == pytest.approx(RECORDED[name][1], abs=1e-6)
