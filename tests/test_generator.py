"""Conversions never change the image; rendering is per sample; every latent belongs to one
generator.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from networks import small_generator, small_mobile

from invert.errors import FingerprintError, LatentError, SpaceError, UsageError
from invert.generator import Generator
from invert.latents.companion import Companion
from invert.latents.latent import Latent
from invert.latents.spaces import Space
from invert.latents.statistics import map_distributions
from invert.loading import load_generator


@pytest.fixture(scope="module", params=["stylegan2", "mobile"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return (
        small_generator(dtype=torch.float64)
        if request.param == "stylegan2"
        else small_mobile(torch.float64)
    )


def spaces_of(generator: Generator) -> list[str]:
    layers = range(1, generator.num_ws + 1)
    return [
        "W+",
        "NW",
        "NW+",
        "SW+",
        "NSW+",
        *(f"{kind}{i}" for kind in ("FW", "FNW", "FSW", "FNSW") for i in layers),
    ]


def test_every_conversion_from_w_keeps_the_image(generator: Generator) -> None:
    x = generator.sample([0, 1], psi=0.7)
    reference = generator.render(x)
    for space in spaces_of(generator):
        assert (generator.render(generator.convert(x, space)) - reference).abs().max() < 1e-10, (
            space
        )


def test_conversions_from_style_maps_that_vary_keep_the_image(generator: Generator) -> None:
    x = generator.convert(generator.sample([0, 1]), "NSW+")
    torch.manual_seed(0)
    maps = tuple(s + 0.2 * torch.randn(2, s.shape[1], 3, 4) for s in x.style_list())
    x = x.replace(styles=maps)
    reference = generator.render(x)
    for layer in range(1, generator.num_ws + 1):
        assert (
            generator.render(generator.convert(x, f"FNSW{layer}")) - reference
        ).abs().max() < 1e-10, layer


def test_z_spaces_keep_the_image(generator: Generator) -> None:
    reference = generator.render(generator.sample([4, 5]))
    for space in ("Z", "NZ", "FZ3", "FNZ3"):
        x = generator.sample([4, 5], space=space)
        assert str(x.space) == space
        assert (generator.render(x) - reference).abs().max() < 1e-10
        assert (generator.render(generator.convert(x, "FNW5")) - reference).abs().max() < 1e-10


def test_a_full_size_constant_style_map_renders_like_its_vector(generator: Generator) -> None:
    x = generator.sample(3)
    sizes = generator.shapes("SW+")
    maps = generator.convert(x, "SW+").style_list()
    full = tuple(
        s.expand(-1, -1, *size).contiguous() for s, size in zip(maps, sizes.inputs, strict=True)
    )
    y = generator.convert(x, "SW+").replace(styles=full)
    assert (generator.render(y) - generator.render(x)).abs().max() < 1e-10


def test_shifting_features_by_a_cell_shifts_the_image_by_the_cell_size() -> None:
    generator = small_generator(128, dtype=torch.float64)
    x = generator.convert(generator.sample(0), "FW5")
    assert x.features is not None
    assert x.rgb is not None
    shifted = x.replace(features=x.features.roll(2, 3), rgb=x.rgb.roll(1, 3))
    cell = generator.resolution // 16
    a, b = generator.render(x, "none"), generator.render(shifted, "none")
    # farther from the borders than the receptive field of three more blocks
    inside = slice(7 * cell, 9 * cell)
    moved = a[..., inside, 6 * cell : 7 * cell]
    assert (b[..., inside, 8 * cell : 9 * cell] - moved).abs().max() < 1e-8
    assert (a[..., inside, 8 * cell : 9 * cell] - moved).abs().max() > 0.1


def test_a_wider_feature_map_gives_a_wider_image(generator: Generator) -> None:
    x = generator.convert(generator.sample(0), "FW5")
    assert x.features is not None
    wide = x.replace(
        features=x.features.repeat(1, 1, 1, 2),
        rgb=None if x.rgb is None else x.rgb.repeat(1, 1, 1, 2),
    )
    r = generator.resolution
    assert generator.render(wide).shape == (1, 3, r, 2 * r)
    assert generator.convert(wide, "FNSW6").features.shape[3] == 2 * generator.layer(6).size


def test_z_is_that_of_nvidias_generate_script() -> None:
    generator = small_generator()
    z = np.random.RandomState(7).randn(1, generator.z_dim)
    w = generator.mapping(torch.from_numpy(z))
    assert torch.equal(generator.sample(7).styles, w)


def test_truncation_moves_towards_the_mean() -> None:
    generator = small_generator()
    w, half = generator.sample(1).styles, generator.sample(1, psi=0.5).styles
    assert torch.allclose(half, generator.w_avg + 0.5 * (w - generator.w_avg))


def test_a_batch_renders_like_its_members_alone() -> None:
    generator = small_generator()
    x = generator.sample(range(4), space="FNW5")
    together = generator.render(x)
    assert all(torch.equal(together[k : k + 1], generator.render(x[k])) for k in range(4))


def test_a_latents_own_noise_wins_over_the_noise_mode() -> None:
    generator = small_generator()
    x = generator.sample(0, space="NW+")
    assert torch.equal(generator.render(x, "none"), generator.render(x, "const"))
    assert not torch.equal(generator.render(generator.sample(0), "none"), generator.render(x))


def test_random_noise_depends_on_its_seed_alone() -> None:
    generator = small_generator()
    x = generator.sample(0)
    state = torch.random.get_rng_state()
    assert torch.equal(generator.render(x, "random", seed=1), generator.render(x, "random", seed=1))
    assert not torch.equal(
        generator.render(x, "random", seed=1), generator.render(x, "random", seed=2)
    )
    assert torch.equal(state, torch.random.get_rng_state())


def test_gradients_reach_every_part_of_a_point() -> None:
    generator = small_generator()
    x = generator.sample(0, space="FNSW5").map(lambda t: t.clone().requires_grad_())
    generator.render(x).square().mean().backward()
    rendered = x.replace(companion=None).tensors()  # the companion is never rendered
    assert all(t.grad is not None and bool(t.grad.abs().sum() > 0) for t in rendered)


def test_gradients_reach_z_through_the_mapping_network() -> None:
    generator = small_generator(c_dim=3)
    z, label = torch.full((2, 32), 0.5), torch.eye(3)[:2]
    plain = generator.mapping(z, label)
    assert not plain.requires_grad
    for leaves in ((z.clone().requires_grad_(), label), (z, label.clone().requires_grad_())):
        w = generator.mapping(*leaves)
        assert torch.equal(w, plain)
        (leaf,) = (t for t in leaves if t.requires_grad)
        (gradient,) = torch.autograd.grad(w.square().sum(), leaf)
        assert gradient.any()
        with torch.no_grad():
            assert not generator.mapping(*leaves).requires_grad


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")  # in torch itself
def test_a_tangent_of_forward_differentiation_passes_where_a_gradient_does() -> None:
    generator = small_generator()
    w = generator.w_avg[None]
    with forward_ad.dual_level():
        for leaf, passes in ((w, False), (w.clone().requires_grad_(), True)):
            dual = forward_ad.make_dual(leaf, torch.ones_like(w))
            image = generator.render(generator.latent(dual))
            assert (forward_ad.unpack_dual(image).tangent is not None) == passes


def test_results_are_ordinary_tensors_for_autograd() -> None:
    generator = small_generator()
    image = generator.render(generator.sample(0))
    w = torch.ones((), requires_grad=True)
    (image * w).sum().backward()
    assert w.grad is not None


def test_a_latent_of_another_generator_is_refused_unless_adopted() -> None:
    generator, other = small_generator(), small_generator(seed=1)
    x = other.sample(0)
    for use in (generator.render, lambda latent: generator.convert(latent, "W+")):
        with pytest.raises(FingerprintError, match="--force"):
            use(x)
    assert generator.render(generator.adopt(x)).shape == (1, 3, 64, 64)
    with pytest.raises(LatentError, match="needs 1 style"):
        small_generator(w_dim=16).adopt(x)


def test_features_made_from_w_plus_remember_the_styles_that_made_them(generator: Generator) -> None:
    w_plus = generator.convert(generator.sample([0, 1]), "W+")
    for path in (["FW5"], ["SW+", "FSW3", "FNSW5"]):
        x = w_plus
        for space in path:
            x = generator.convert(x, space)
        assert x.companion is not None
        assert torch.equal(x.companion.styles, w_plus.styles)
        again = generator.convert(generator.latent(x.companion.styles), "FW5").features
        assert torch.allclose(again, generator.convert(w_plus, "FW5").features)
    maps = tuple(
        s.expand(-1, -1, 2, 2).clone() for s in generator.convert(w_plus, "SW+").style_list()
    )
    spread = generator.convert(w_plus, "SW+").replace(styles=maps)
    assert generator.convert(spread, "FSW5").companion is None


def test_parts_that_do_not_fit_the_generator_are_named() -> None:
    generator = small_generator()
    x = generator.sample(0, space="FNSW5")
    assert x.features is not None
    assert x.rgb is not None
    assert x.noise is not None
    cases: list[tuple[Latent, str]] = [
        (x.replace(features=x.features[:, :5]), "feature channels"),
        (x.replace(features=x.features[:, :, :15]), "even height"),
        (x.replace(rgb=x.rgb[:, :, :4]), "RGB map"),
        (x.replace(rgb=None), "RGB map"),
        (x.replace(noise=x.noise[1:]), "noise maps"),
        (x.replace(styles=x.styles[1:]), "style"),
        (x.replace(companion=Companion(torch.zeros(1, 3, 3))), "companion"),
        (
            x.replace(styles=tuple(s.expand(-1, -1, 99, 99) for s in x.style_list())),
            "at most as large",
        ),
    ]
    for latent, reason in cases:
        with pytest.raises(LatentError, match=reason):
            generator.check(latent)
    with pytest.raises(SpaceError, match="layers 1 to 10"):
        generator.convert(generator.sample(0), "FW11")


def test_conditional_generators_need_a_label_and_others_take_none() -> None:
    generator = small_generator(c_dim=3)
    assert not torch.equal(
        generator.render(generator.sample(0, label=0)),
        generator.render(generator.sample(0, label=1)),
    )
    for label in (None, 3, -1):
        with pytest.raises(UsageError, match=r"expected a label in \[0, 3\)"):
            generator.sample(0, label=label)
    with pytest.raises(UsageError, match="conditional"):
        generator.mapping(torch.zeros(1, generator.z_dim))
    with pytest.raises(UsageError, match="expected labels"):
        generator.mapping(torch.zeros(1, generator.z_dim), torch.zeros(2, 3))
    with pytest.raises(UsageError, match="takes no label"):
        small_generator().sample(0, label=0)
    z = generator.sample(0, label=2, space="Z")
    with pytest.raises(LatentError, match="label of 3 values"):
        generator.check(z.replace(label=None))


def test_bad_arguments_are_refused_with_their_range() -> None:
    generator = small_generator()
    for seeds in ([], [-1], [2**32]):
        with pytest.raises(UsageError, match="seeds are integers"):
            generator.sample(seeds)
    with pytest.raises(UsageError, match="psi"):
        generator.sample(0, psi=0.5, space="Z")
    with pytest.raises(UsageError, match="noise is"):
        generator.render(generator.sample(0), "zero")
    with pytest.raises(LatentError, match="expected \\[N, w_dim\\]"):
        generator.latent(torch.zeros(3))
    with pytest.raises(UsageError, match="which"):
        generator.target_distribution("features")
    with pytest.raises(UsageError, match="CUDA"):
        small_generator(dtype=torch.float16)


def test_large_maps_are_measured_over_fewer_latents() -> None:
    network = small_generator().network
    values = {
        facts.size: len(map_distributions(network, facts.index)["features"])
        for facts in network.layers[5:7]
    }
    kept = 4096  # values of a map of 16×16 or 32×32 cells and 32 channels that are kept
    assert values == {16: 4096 * kept, 32: 1024 * kept}


def test_a_missing_mean_w_is_estimated_from_samples() -> None:
    generator = small_generator()
    generator.network.w_avg = None
    assert torch.equal(generator.w_avg, generator.statistics().w_mean)


@pytest.mark.slow
def test_conversions_of_the_face_generator_keep_its_image() -> None:
    generator = load_generator("ffhq-mobile")
    x = generator.sample([0, 1], psi=0.7)
    reference = generator.render(x)
    for space in ("W+", "SW+", *(f"{kind}{i}" for kind in ("FW", "FSW") for i in (1, 3, 5, 8))):
        assert (generator.render(generator.convert(x, space)) - reference).abs().max() < 1e-4, space


def test_the_dimensions_are_those_of_the_architecture() -> None:
    generator = small_generator()
    assert (generator.resolution, generator.num_ws, generator.num_layers) == (64, 10, 9)
    layer = generator.layer(5)
    assert (layer.size, layer.rgb_size, layer.noise_size) == (16, 8, 16)
    assert generator.shapes(Space.parse("FNW5")).image == (64, 64)


@pytest.mark.parametrize("generator", [small_generator(), small_mobile()], ids=lambda g: g.name)
def test_a_half_precise_copy_renders_nearly_the_same(generator: Generator) -> None:
    latent = generator.sample(4, psi=0.7, space="FNSW5")
    image, half = generator.render(latent), generator.half().render(latent)
    assert half.dtype == torch.bfloat16
    error = (half - image).square().mean().sqrt() / image.std()
    assert 0 < error < 0.03
    assert generator.dtype == torch.float32


@pytest.mark.parametrize(
    ("able", "warns"),
    [({"avx2": True}, True), ({"avx2": True, "avx512_bf16": True}, False), ({"bf16": True}, False)],
)
def test_half_precision_warns_on_processors_that_lack_it(
    able: dict[str, bool], warns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        small_generator().half()
    assert ["no bfloat16" in str(w.message) for w in caught] == [True] * warns


def test_half_precision_does_not_warn_where_torch_cannot_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small_generator().half()
