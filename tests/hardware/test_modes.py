"""Results do not depend on torch's modes that a caller is in, nor on torch's default dtype."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import small_checkpoint, small_generator, small_map_generator
from PIL import Image
from searches import short_searches
from torch import Tensor, nn

import invert.latents.statistics
from directions.direction import Direction, unit
from directions.pca import principal_directions
from edits.along_direction import edit
from edits.attributes.training import AttributeSettings, train_attribute_model
from edits.canvas import Placement, place
from invert.checkpoints import fingerprint
from invert.checkpoints.noise_maps import with_noise_maps
from invert.encoders.encoder import new_encoder
from invert.encoders.settings import EncoderSettings
from invert.encoders.training_run import train_encoder
from invert.gan.settings import GanSettings
from invert.gan.training_run import train_gan
from invert.generator import Generator
from invert.hardware.modes import default_modes, float32_by_default, ordinary, without_autocast
from invert.hardware.precision import full_precision
from invert.latents.latent import Latent
from invert.loading import load_generator
from invert.metrics.jacobian import path_length, singular_values
from invert.metrics.perceptual import PerceptualDistance, load_perceptual
from invert.projection.companion import with_companion
from invert.projection.optimization import Projection
from invert.projection.projector import project
from invert.projection.settings import ProjectionSettings

ROOT = Path(__file__).parents[2]
QUICK = ProjectionSettings(
    steps=2, init_steps=2, companion_steps=2, perceptual="none", dist_weight=0.1, w_noise=0.1
)
COLOURS = PerceptualDistance("colours", [nn.Identity()], [torch.ones(3)])
TILT = Direction("tilt", unit(torch.ones(32)), sigma=1.0)


def autocast() -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16)


@contextmanager
def float64_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


Mode = Callable[[], AbstractContextManager[object]]
MODES: dict[str, Mode] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": autocast,
    "float64 by default": float64_by_default,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(invert.latents.statistics, "TARGET_SAMPLES", 512)
    with short_searches():
        yield


@pytest.fixture(params=MODES, ids=lambda name: name.replace(" ", "-"))
def mode(request: pytest.FixtureRequest) -> Mode:
    return MODES[request.param]


# -- what is computed in a mode


def picture(generator: Generator) -> Tensor:
    return generator.render(generator.sample(3, psi=0.7)).clamp(-1, 1)


def bare(generator: Generator) -> Latent:
    """A point without a companion."""
    return generator.sample(1, space="FNW3").replace(companion=None)


def projection(generator: Generator, folder: Path) -> Iterable[Tensor]:
    result = project(generator, picture(generator), settings=QUICK, perceptual=COLOURS)
    return [*result.latent.tensors(), result.image]


def projection_from_a_point(generator: Generator, folder: Path) -> Iterable[Tensor]:
    settings = QUICK.replace(dist_weight=0.0)
    point = generator.sample(1, space="FNSW5")
    return project(
        generator, picture(generator), "FNSW5", settings=settings, init=point
    ).latent.tensors()


def canvas_companion(generator: Generator, folder: Path) -> Iterable[Tensor]:
    canvas = place(generator, (24, 16), [Placement(bare(generator))])
    return with_companion(generator, canvas, steps=1).tensors()


def random_map(generator: Generator, folder: Path) -> Iterable[Tensor]:
    network = small_map_generator()
    return network.sample([0, 1], psi=0.7, space="FNW5").tensors()


def saved_statistics(generator: Generator, folder: Path) -> Iterable[Tensor]:
    """What the user's cache gets, and a later process reads."""
    found = generator.target_distribution("features", 5, cache_dir=folder)
    later = small_generator().target_distribution("features", 5, cache_dir=folder)
    return [found, later]


def statistics(generator: Generator, folder: Path) -> Iterable[Tensor]:
    s = generator.statistics()
    return [s.w_mean, torch.tensor(s.w_std, dtype=torch.float64), s.w_factor, s.styles]


def pca(generator: Generator, folder: Path) -> Iterable[Tensor]:
    (first,) = principal_directions(generator, 1, samples=100)
    return [first.vectors, torch.tensor(first.sigma, dtype=torch.float64)]


def jacobian(generator: Generator, folder: Path) -> Iterable[Tensor]:
    small = small_generator(16)
    point = small.sample(0, space="W+")
    length = torch.tensor(path_length(small, point, seed=0), dtype=torch.float64)
    return [length, singular_values(small, point, rank=2)]


def attribute_model(generator: Generator, folder: Path) -> Iterable[Tensor]:
    settings = AttributeSettings(samples=8, held_out=4, steps=1, rank=4)
    model = train_attribute_model(generator, TILT, 5, settings=settings)
    return [model.flow.kernel, model.flow.basis]


def encoder(generator: Generator, folder: Path) -> Iterable[Tensor]:
    settings = EncoderSettings(
        batch=2, image_batch=1, warped=1, held_out=2, held_out_images=1, perceptual=(), half=False
    )
    path = folder / "encoder.safetensors"
    train_encoder(generator, 5, path, settings=settings, steps=1)
    return [bytes_of(path, "header")]


def refined_encoding(generator: Generator, folder: Path) -> Iterable[Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        refining = new_encoder(generator, 5, passes=1).eval()
    return refining.encode(generator, picture(generator)).tensors()


def gan(generator: Generator, folder: Path) -> Iterable[Tensor]:
    settings = GanSettings(
        resolution=8, channel_base=64, channel_max=8, z_dim=8, w_dim=8, batch=4, half=False
    )
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "data.png")
    path = folder / "gan.safetensors"
    train_gan(folder / "data.png", path, settings=settings, steps=2)
    return load_generator(path).network.state_dict().values()


def bytes_of(path: Path, skipped: str) -> Tensor:
    """The tensors of a safetensors file, without the header, which tells how long it took."""
    data = path.read_bytes()
    header = int.from_bytes(data[:8], "little")
    return torch.frombuffer(bytearray(data[8 + header :]), dtype=torch.uint8)


WORK: dict[str, Callable[[Generator, Path], Iterable[Tensor]]] = {
    "sample": lambda g, _: g.sample([0, 1], psi=0.7).tensors(),
    "mapping": lambda g, _: [g.mapping(torch.full((1, 32), 0.5, dtype=torch.float32))],
    "convert": lambda g, _: g.convert(g.sample([0, 1]), "FNW5").tensors(),
    "early maps": lambda g, _: [t for t in g.early_maps(g.w_avg[None, None], 5) if t is not None],
    "random noise": lambda g, _: [g.render(g.sample(0), "random", seed=1)],
    "random map": random_map,
    "statistics": statistics,
    "target_distribution": saved_statistics,
    "directions": pca,
    "project": projection,
    "project from a point": projection_from_a_point,
    "edit with a companion": lambda g, _: edit(g, g.sample(1, space="FNW5"), TILT, 1.0).tensors(),
    "edit without one": lambda g, _: edit(g, bare(g), TILT, 1.0).tensors(),
    "companions on a canvas": canvas_companion,
    "jacobian": jacobian,
    "attribute model": attribute_model,
    "encoder": encoder,
    "refined encoding": refined_encoding,
    "gan": gan,
}


@pytest.fixture(scope="module")
def plain_results() -> dict[str, list[Tensor]]:
    """The results outside all modes, as far as they were needed."""
    return {}


@pytest.mark.parametrize("name", WORK, ids=lambda name: name.replace(" ", "-"))
def test_a_mode_of_the_caller_changes_no_bit(
    name: str, mode: Mode, tmp_path: Path, plain_results: dict[str, list[Tensor]]
) -> None:
    if name not in plain_results:
        (tmp_path / "plain").mkdir()
        plain_results[name] = list(WORK[name](small_generator(), tmp_path / "plain"))
    generator = small_generator()
    with mode():
        found = list(WORK[name](generator, tmp_path))
    for expected, t in zip(plain_results[name], found, strict=True):
        assert t.dtype == expected.dtype
        assert torch.equal(t, expected)


def test_a_network_without_noise_maps_is_the_same_under_another_default_dtype() -> None:
    def identity() -> str:
        whole = small_checkpoint()
        tensors = {k: t for k, t in whole.tensors.items() if not k.endswith("noise_const")}
        completed = with_noise_maps(replace(whole, tensors=tensors))
        return fingerprint(completed.tensors, completed.config)

    expected = identity()
    with float64_by_default():
        assert identity() == expected


def test_seeded_numbers_are_drawn_in_a_dtype_that_is_named() -> None:
    draws = {"rand", "randn", "normal"}
    files = [p for layer in ("invert", "directions", "edits") for p in (ROOT / layer).rglob("*.py")]
    calls = [
        (path, node)
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr) in {("torch", name) for name in draws}
    ]
    assert len(calls) > 20
    for path, call in calls:
        assert "dtype" in {keyword.arg for keyword in call.keywords}, f"{path}:{call.lineno}"


# -- what is made in a mode and outlives it


def test_what_is_first_computed_in_inference_mode_is_of_use_outside(tmp_path: Path) -> None:
    def projected(generator: Generator) -> list[Tensor]:
        return list(projection(generator, tmp_path))

    expected = projected(small_generator())
    with torch.inference_mode():
        generator = small_generator()  # its tensors, too, are made in here
        generator.statistics()
        generator.target_distribution("styles")
        generator.target_distribution("features", 5, cache_dir=tmp_path)
        assert not generator.w_avg.is_inference()
    assert not any(t.is_inference() for t in generator.network.state_dict().values())
    for a, b in zip(projected(generator), expected, strict=True):
        assert torch.equal(a, b)

    point = generator.latent(generator.w_avg[None].requires_grad_())
    generator.render(point).sum().backward()


def test_a_distance_that_was_loaded_in_inference_mode_has_gradients() -> None:
    with torch.inference_mode():
        distance = load_perceptual("st-lpips-alex")
        parts = [distance, distance.shallow(2)]
    for part in parts:
        image = torch.zeros(1, 3, 32, 32).requires_grad_()
        part(image, torch.ones(1, 3, 32, 32)).sum().backward()
        assert image.grad is not None
        assert image.grad.any()


def test_a_copy_in_half_precision_made_in_inference_mode_has_gradients() -> None:
    with torch.inference_mode():
        half = small_generator().half()
    w = half.w_avg[None].clone().requires_grad_()
    half.render(half.latent(w)).sum().backward()
    assert w.grad is not None
    assert w.grad.any()


def test_pictures_and_points_made_in_inference_mode_can_be_projected_and_edited() -> None:
    generator = small_generator()
    settings = QUICK.replace(dist_weight=0.0)
    with torch.inference_mode():
        image = picture(generator)
        point = generator.sample(1, space="FNSW5").replace(companion=None)
    assert image.is_inference()
    assert any(t.is_inference() for t in point.tensors())

    def results(image: Tensor, point: Latent) -> list[Tensor]:
        found = project(generator, image, "FNSW5", settings=settings, init=point)
        return [*found.latent.tensors(), *with_companion(generator, point, steps=1).tensors()]

    copies = image.clone(), point.map(Tensor.clone)
    for a, b in zip(results(image, point), results(*copies), strict=True):
        assert torch.equal(a, b)


def test_a_projection_in_inference_mode_is_of_use_outside() -> None:
    generator = small_generator()
    with torch.inference_mode():
        found: Projection = project(generator, picture(generator), settings=QUICK)
    assert not any(t.is_inference() for t in [*found.latent.tensors(), found.image])


# -- modes


def test_default_modes_end_all_of_the_callers() -> None:
    with torch.inference_mode(), autocast(), default_modes():
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")
        assert not torch.ones(1).is_inference()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("block", [without_autocast, full_precision, default_modes])
def test_an_autocast_that_begins_inside_is_as_usual(block: Mode) -> None:
    a = torch.ones(2, 2)
    with autocast():
        with block():
            assert (a @ a).dtype == torch.float32
            with autocast():
                assert (a @ a).dtype == torch.bfloat16
            assert (a @ a).dtype == torch.float32
        assert (a @ a).dtype == torch.bfloat16


def test_mixed_precision_of_a_generator_goes_on_in_full_precision() -> None:
    generator = small_generator()
    point = generator.sample(0)
    exact = generator.render(point)
    generator.autocast = torch.bfloat16
    mixed = generator.render(point)
    assert not torch.equal(mixed, exact)
    for block in (autocast, full_precision):
        with block():
            assert torch.equal(generator.render(point), mixed)


def test_an_ordinary_tensor_is_not_copied() -> None:
    t = torch.ones(1)
    assert ordinary(t) is t
    with torch.inference_mode():
        u = torch.ones(1)
    assert not ordinary(u).is_inference()


def test_the_default_dtype_is_put_back() -> None:
    with float64_by_default():
        with float32_by_default():
            assert torch.ones(1).dtype == torch.float32
        assert torch.ones(1).dtype == torch.float64
