"""Training finds planted kernels, explains held-out displacements, repeats, and says what it cannot
do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from networks import small_checkpoint, small_generator, small_mobile
from torch import nn

from directions.direction import Direction, unit
from directions.direction_files import save_direction
from edits.along_direction import move
from edits.attributes.files import load_attribute_model
from edits.attributes.fit import NormalEquations, explained, principal_channels
from edits.attributes.flow import LinearFlow
from edits.attributes.samples import Pairs, PairSampler
from edits.attributes.training import AttributeSettings, AttributeStep, train_attribute_model
from edits.commands.training import attribute
from invert.checkpoints import write_checkpoint
from invert.errors import FingerprintError, SpaceError, UsageError
from invert.generator import Generator
from invert.loading import generator_from_checkpoint
from invert.metrics.perceptual import PerceptualDistance

QUICK = AttributeSettings(samples=48, held_out=16, steps=12, rank=12)


@pytest.fixture(scope="module", params=["stylegan2", "mobile"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return small_generator() if request.param == "stylegan2" else small_mobile()


def direction(generator: Generator, **changes: Any) -> Direction:
    g = torch.Generator().manual_seed(3)
    vectors = unit(torch.randn(generator.w_dim, generator=g))
    fields: dict[str, Any] = {"name": "smile", "vectors": vectors, "sigma": 0.5}
    return Direction(**fields | changes)


def sampler(generator: Generator, layer: int = 5, **changes: Any) -> PairSampler:
    return PairSampler(
        generator, layer, direction(generator).offset(generator.num_ws, 1.0), 4.0, **changes
    )


# -- least squares


@pytest.mark.parametrize("size", [1, 3])
def test_least_squares_finds_a_planted_kernel(size: int) -> None:
    g = torch.Generator().manual_seed(0)
    truth = LinearFlow(
        torch.eye(6, dtype=torch.float64),
        torch.randn(6, 6, size, size, generator=g, dtype=torch.float64),
    )
    y = torch.randn(4, 6, 12, 9, generator=g, dtype=torch.float64)
    c = torch.tensor([-3.0, -0.5, 1.0, 4.0], dtype=torch.float64)[:, None, None, None]
    moved = y + c * truth.velocity(y, None, torch.ones(1, 1, 1, 1, dtype=torch.float64))
    parts = [
        NormalEquations.from_coordinates(y[k : k + 2], moved[k : k + 2], c[k : k + 2], size)
        for k in (0, 2)
    ]
    equations = parts[0] + parts[1]
    found = equations.kernel(0.0)
    assert (found - truth.kernel).abs().max() < 1e-6
    assert abs(equations.missed(found)) < 1e-9
    assert equations.missed(torch.zeros_like(found)) == 1
    assert 1e-4 < equations.missed(equations.kernel(1.0)) < 1
    assert equations.kernel(1.0).norm() < found.norm()


def test_the_ridge_is_training_under_noise() -> None:
    g = torch.Generator().manual_seed(0)
    y = torch.randn(1, 3, 400, 400, generator=g, dtype=torch.float64)
    moved = y + torch.einsum(
        "oi,nihw->nohw", torch.randn(3, 3, generator=g, dtype=torch.float64), y
    )
    c, noise = (
        torch.ones(1, 1, 1, 1, dtype=torch.float64),
        0.5 * torch.randn(y.shape, generator=g, dtype=y.dtype),
    )
    noise *= y.square().mean().sqrt()
    ridge = NormalEquations.from_coordinates(y, moved, c, 1).kernel(0.25)
    assert (
        NormalEquations.from_coordinates(y + noise, moved + noise, c, 1).kernel(0.0) - ridge
    ).abs().max() < 0.02


def test_channels_hold_what_is_read_and_what_is_written() -> None:
    g = torch.Generator().manual_seed(0)
    read, write = torch.zeros(1, 8, 1, 1), torch.zeros(1, 8, 1, 1)
    read[:, 2], write[:, 5] = 1, 1
    before = read * torch.randn(4, 1, 6, 6, generator=g) + 1e-3 * torch.randn(
        4, 8, 6, 6, generator=g
    )
    after = before + 0.01 * write * torch.randn(4, 1, 6, 6, generator=g)
    rgb = 0.1 * torch.randn(4, 3, 3, 3, generator=g)
    pairs = Pairs(
        (before, after), (rgb, rgb), (torch.zeros(0), torch.zeros(0)), torch.ones(4, 1, 1, 1)
    )
    basis, scale = principal_channels([pairs], 2)
    assert torch.allclose(basis.T @ basis, torch.eye(2, dtype=torch.float64), atol=1e-6)
    assert basis[[2, 5]].square().sum().item() == pytest.approx(2, abs=0.05)
    y = torch.einsum("nchw,ck->nkhw", before.double(), basis)
    assert scale * rgb.square().mean().sqrt().item() == pytest.approx(
        y.square().mean().sqrt().item(), rel=1e-5
    )
    full, _ = principal_channels([pairs], 99)
    assert torch.equal(full, torch.eye(8, dtype=torch.float64))


# -- samples


@pytest.mark.parametrize("layer", [4, 5])
def test_pairs_do_not_depend_on_their_batch(layer: int) -> None:
    draw = sampler(small_generator(dtype=torch.float64), layer)
    together = draw.pairs(range(3))
    assert together.strength.abs().max() <= 4
    for k in range(3):
        alone = draw.pairs(range(k, k + 1))
        assert torch.equal(alone.strength, together.strength[k : k + 1])
        for part in ("features", "rgb", "styles"):
            for a, b in zip(getattr(alone, part), getattr(together, part), strict=True):
                assert torch.allclose(a, b[k : k + 1], atol=1e-12)
    other = sampler(small_generator(dtype=torch.float64), layer, seed=1).pairs(range(3))
    assert not torch.isclose(other.strength, together.strength).any()


def test_the_end_of_a_pair_is_what_the_edited_styles_make(generator: Generator) -> None:
    draw = sampler(generator)
    still = draw.pairs(range(4), 0.0)
    assert torch.equal(*still.features)
    pairs = draw.pairs(range(4), 2.0)
    assert torch.allclose(pairs.styles[1] - pairs.styles[0], 2 * draw.offset, atol=1e-6)
    for features, styles in zip(pairs.features, pairs.styles, strict=True):
        made = generator.convert(generator.latent(styles), "FW5").features
        assert made is not None
        assert made.shape == features.shape
        # but for the noise
        assert (made - features).square().mean() < 0.5 * features.square().mean()


def test_conditional_generators_are_sampled_over_their_classes() -> None:
    generator = small_generator(c_dim=3)
    styles = sampler(generator).pairs(range(4)).styles[0]
    assert styles.shape == (4, generator.num_ws, generator.w_dim)


# -- training


def test_training_explains_held_out_displacements_and_the_exponential_helps() -> None:
    generator = small_generator()
    steps: list[AttributeStep] = []
    model = train_attribute_model(
        generator, direction(generator), 5, settings=QUICK, callback=steps.append
    )
    shares = model.training["explained"]
    assert list(shares) == ["-4", "-2", "-1", "+1", "+2", "+4"]
    assert all(set(entry) == {"features", "rgb"} for entry in shares.values())
    mean = sum(entry["features"] for entry in shares.values()) / 6
    assert mean > 0.05
    least_squares = train_attribute_model(
        generator,
        direction(generator),
        5,
        settings=AttributeSettings(samples=48, held_out=16, steps=0, rank=12),
    )
    assert (
        mean
        > 0.01
        + sum(entry["features"] for entry in least_squares.training["explained"].values()) / 6
    )
    ends = [(s.stage, s.step) for s in steps if s.step == s.steps]
    assert ends == [("channels", 3), ("least squares", 3), ("exponential", 12)]
    assert all((s.missed is None) == (s.stage != "exponential") for s in steps)
    held_out = explained(model.flow, sampler(generator), range(16), 2.0)
    assert held_out == shares["+2"]


def test_training_again_gives_the_same_model_and_another_seed_another() -> None:
    generator = small_generator()
    first, again = (
        train_attribute_model(generator, direction(generator), 5, settings=QUICK) for _ in range(2)
    )
    assert torch.equal(first.flow.kernel, again.flow.kernel)
    assert first.training == again.training
    settings = AttributeSettings(samples=48, held_out=16, steps=12, rank=12, seed=1)
    other = train_attribute_model(generator, direction(generator), 5, settings=settings)
    assert not torch.equal(first.flow.kernel, other.flow.kernel)


def test_a_trained_model_comes_nearer_to_the_true_features_than_styles_alone(
    generator: Generator,
) -> None:
    d = direction(generator)
    model = train_attribute_model(generator, d, 5, settings=QUICK)
    x = generator.sample(range(5000, 5032), psi=0.85, space="FNW5")

    def features(carry: Any) -> torch.Tensor:
        found = move(generator, x, d.offset(generator.num_ws, 2.0), features=carry).features
        assert found is not None
        return found

    truth = features("difference")
    assert (features(model) - truth).square().mean() < 0.95 * (
        features("keep") - truth
    ).square().mean()


def test_adam_is_dropped_where_it_explains_less() -> None:
    generator = small_mobile()
    base: dict[str, Any] = {"samples": 32, "held_out": 8, "rank": 12}
    before, after = (
        train_attribute_model(
            generator, direction(generator), 5, settings=AttributeSettings(**base, **wild)
        )
        for wild in ({"steps": 0}, {"steps": 2, "lr": 0.3})
    )
    assert torch.equal(before.flow.kernel, after.flow.kernel)
    assert before.training["explained"] == after.training["explained"]


def test_perceptual_steps_go_on_with_the_images() -> None:
    generator = small_generator()
    torch_state = torch.Generator().manual_seed(0)
    stage = nn.Conv2d(3, 4, 3)
    with torch.no_grad():
        stage.weight.copy_(torch.randn(stage.weight.shape, generator=torch_state))
    distance = PerceptualDistance("one convolution", [stage], [torch.full((4,), 0.25)])
    base: dict[str, Any] = {
        "samples": 32,
        "held_out": 8,
        "steps": 0,
        "batch": 4,
        "perceptual_batch": 2,
    }
    before = train_attribute_model(
        generator, direction(generator), 5, settings=AttributeSettings(**base)
    )
    steps: list[AttributeStep] = []
    settings = AttributeSettings(**base, perceptual_steps=2)
    after = train_attribute_model(
        generator,
        direction(generator),
        5,
        settings=settings,
        perceptual=distance,
        callback=steps.append,
    )
    assert [s.stage for s in steps[-2:]] == ["perceptual", "perceptual"]
    assert all(s.distance is not None and s.distance > 0 for s in steps[-2:])
    assert 0 < (after.flow.kernel - before.flow.kernel).abs().max() < 3e-4
    assert after.training["perceptual"] == "one convolution"
    assert before.training["perceptual"] is None


def test_what_cannot_be_trained_is_refused(generator: Generator) -> None:
    with pytest.raises(
        UsageError, match=r"'smile' moves no style before layer 5: .* no attribute model is needed"
    ):
        train_attribute_model(generator, direction(generator, styles=(6, 8)), 5)
    with pytest.raises(SpaceError, match="layer 99 does not exist"):
        train_attribute_model(generator, direction(generator), 99)
    with pytest.raises(FingerprintError, match="belongs to W space ffhq"):
        train_attribute_model(generator, direction(generator, w_space="ffhq"), 5)
    with pytest.raises(UsageError, match="perceptual_steps need a perceptual distance"):
        train_attribute_model(
            generator, direction(generator), 5, settings=AttributeSettings(perceptual_steps=1)
        )
    with pytest.raises(UsageError, match=r"seed is an integer in \[0, 1024\), got 1024"):
        train_attribute_model(
            generator, direction(generator), 5, settings=AttributeSettings(seed=1024)
        )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"limit": 0.0}, "expected 0 < limit ≤ 100"),
        ({"limit": float("nan")}, "expected 0 < limit ≤ 100"),
        ({"kernel_size": 2}, "kernel_size 1, 3 or 5"),
        ({"rank": 0}, "rank ≥ 1 or None, got 4, 3 and 0"),
        ({"samples": 0}, "samples, held_out and both batches ≥ 1"),
        ({"perceptual_batch": 0}, "samples, held_out and both batches ≥ 1"),
        ({"steps": -1}, "steps and perceptual_steps ≥ 0"),
        ({"lr": 0.0}, "learning rates above 0"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        AttributeSettings(**changes)


# -- the command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a network and a direction."""
    monkeypatch.chdir(tmp_path)
    write_checkpoint(tmp_path / "small.safetensors", small_checkpoint())
    save_direction(direction(small_generator()), tmp_path / "d.safetensors")
    return tmp_path


def command(*arguments: str) -> Result:
    base = ["--network", "small.safetensors", "--device", "cpu", "--samples", "16", "--steps", "2"]
    return CliRunner().invoke(attribute, [*base, *arguments])


def test_the_command_writes_a_model_that_carries_edits(folder: Path) -> None:
    result = command("--direction", "d.safetensors", "--layer", "5")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "smile-layer5-small.safetensors"
    assert [line.split()[0] for line in lines[1:]] == ["-4", "-2", "-1", "+1", "+2", "+4"]
    assert all("features" in line and "rgb" in line for line in lines[1:])
    generator = generator_from_checkpoint(small_checkpoint(), name="small")
    model = load_attribute_model(lines[0], generator)
    assert model.flow.kernel.dtype == torch.float16
    x = generator.sample(0, space="FNW5").replace(companion=None)
    edited = move(generator, x, direction(generator).offset(generator.num_ws, 1.0), features=model)
    assert edited.features is not None
    assert not torch.equal(edited.features, x.features)


def test_the_command_prints_json(folder: Path) -> None:
    result = command("--direction", "d.safetensors", "--seed", "7", "-o", "m.safetensors", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["file"] == "m.safetensors"
    model = load_attribute_model("m.safetensors")
    assert report["explained"] == model.training["explained"]
    assert model.training["settings"]["seed"] == 7


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--direction", "smlie"], "unknown direction 'smlie'; did you mean smile?"),
        (
            ["--direction", "d.safetensors", "-o", "m.pt"],
            "m.pt: attribute models are written as .safetensors",
        ),
        (["--direction", "d.safetensors", "-o", "none/m.safetensors"], "none: no such folder"),
        (["--direction", "d.safetensors", "--layer", "99"], "layer 99 does not exist"),
        (["--direction", "d.safetensors", "--samples", "0"], "samples, held_out and both batches"),
        (
            ["--direction", "d.safetensors", "--perceptual-steps", "1", "--perceptual", "x"],
            "got 'x'",
        ),
    ],
)
def test_the_command_refuses_with_the_reason(
    arguments: list[str], reason: str, folder: Path
) -> None:
    result = command(*arguments)
    assert isinstance(result.exception, UsageError)
    assert reason in str(result.exception)
    assert {p.name for p in folder.iterdir()} == {"small.safetensors", "d.safetensors"}
