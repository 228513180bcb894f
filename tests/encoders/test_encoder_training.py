"""Training an encoder: its data, that it learns, that a stopped run goes on exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import small_generator, small_mobile

from invert.encoders.encoder_files import load_encoder
from invert.encoders.samples import Samples
from invert.encoders.training import EncoderSettings, EncoderStep, EncoderTraining
from invert.encoders.training_run import alone_in, train_encoder
from invert.errors import ModelFileError, UsageError
from invert.images.images import area_downscale

GENERATOR = small_generator()
SMALL = EncoderSettings(batch=4, fresh=2, held_out=4, image_batch=1, image_every=2, warmup=1)


def training(settings: EncoderSettings = SMALL, folder: Path | None = None) -> EncoderTraining:
    return EncoderTraining(GENERATOR, 5, settings, None, folder)


@pytest.mark.parametrize(
    "generator", [GENERATOR, small_generator(c_dim=3), small_mobile()], ids=lambda g: g.name
)
def test_a_sample_is_its_point_its_image_and_its_encoding(generator, tmp_path: Path) -> None:
    samples = Samples(generator, 5, seed=3, side=32)
    point = samples.point(7)
    encoding = samples.encodings([2, 7])
    assert str(point.space) == "FNW5"
    assert torch.equal(encoding.features[1:], point.features)
    assert torch.equal(encoding.styles[1:, 4:], point.styles)
    assert (encoding.rgb is None) == (point.rgb is None)
    small = area_downscale(generator.render(point).clamp(-1, 1), (32, 32))
    assert (samples.image(7) - small).abs().mean() < 0.05  # JPEG
    kept = Samples(generator, 5, seed=3, side=32, folder=tmp_path)
    assert torch.equal(kept.image(7), samples.image(7))
    assert torch.equal(kept.image(7), samples.image(7))
    assert [path.name for path in tmp_path.iterdir()] == ["0000007.jpg"]


def test_sets_of_samples_are_numbered() -> None:
    with pytest.raises(UsageError, match=r"seed is an integer in \[0, 1024\), got 1024"):
        Samples(GENERATOR, 5, seed=1024)


def test_some_points_mix_two_styles_and_others_do_not() -> None:
    samples = Samples(GENERATOR, 5, mixing=0.5)
    constant = [
        bool((samples.point(k).styles == samples.point(k).styles[:, :1]).all()) for k in range(20)
    ]
    assert 0 < sum(constant) < 20


def test_some_points_are_moved_by_whole_cells_of_all_their_maps() -> None:
    """In this generator F_5 has 16 cells a side and R_5 8, of which a fifth is 2."""
    still, shifted = (Samples(GENERATOR, 5, moved=share) for share in (0.0, 1.0))
    seen = set()
    for k in range(8):
        a, b = still.point(k), shifted.point(k)
        assert torch.equal(a.styles, b.styles)
        x, y = found_move(a.features, b.features)
        assert (x % 2, y % 2) == (0, 0)
        assert (x, y) == tuple(2 * d for d in found_move(a.rgb, b.rgb))
        assert max(abs(x), abs(y)) <= 4
        seen.add((x, y))
    assert len(seen) > 3
    moved = sum(
        not torch.equal(Samples(GENERATOR, 5).point(k).features, still.point(k).features)
        for k in range(20)
    )
    assert 0 < moved < 10


def found_move(before: torch.Tensor, after: torch.Tensor) -> tuple[int, int]:
    """By how many cells (right, down) the content of a map went."""
    side = before.shape[3]
    for x in range(-side // 4, side // 4 + 1):
        for y in range(-side // 4, side // 4 + 1):
            there = after[:, :, max(y, 0) : side + min(y, 0), max(x, 0) : side + min(x, 0)]
            here = before[:, :, max(-y, 0) : side + min(-y, 0), max(-x, 0) : side + min(-x, 0)]
            if torch.equal(here, there):
                return x, y
    raise AssertionError("not moved by whole cells")


def test_held_out_samples_are_not_those_of_training() -> None:
    run = training()
    assert not torch.equal(run.samples.image(0), run.held_out.image(0))


def test_an_unknown_trunk_is_refused() -> None:
    with pytest.raises(
        UsageError, match="unknown backbone 'resnet'; known: efficientnet-b0, efficientnet-lite0"
    ):
        EncoderSettings(trunk="resnet")


def test_a_batch_has_new_samples_and_earlier_ones() -> None:
    run = training(EncoderSettings(batch=12, fresh=4))
    batch = run.batch(10)
    assert batch[:4] == [40, 41, 42, 43]
    assert all(0 <= k < 44 for k in batch)
    assert batch == run.batch(10)
    assert batch != run.batch(11)


def test_training_lowers_the_error_on_a_batch() -> None:
    run = training(EncoderSettings(batch=4, fresh=4, held_out=4, image_batch=0, warmup=1, lr=2e-3))
    run.batch = lambda step: list(range(4))
    first = [run.update()[1] for _ in range(20)]
    assert first[-1]["features"] < 0.8 * first[0]["features"]


def test_image_terms_reach_the_encoder() -> None:
    run = training()
    target = run.samples.encodings([0])
    image = run.samples.image(0)
    exact = run.image_terms(target, [0], image)
    assert exact < 0.01  # nothing but JPEG is missing
    found = run.model(image)
    run.image_terms(found, [0], image).backward()
    assert run.model.feature_head.leave.weight.grad is not None
    assert run.model.feature_head.leave.weight.grad.abs().max() > 0


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole = training(folder=tmp_path / "a")
    for _ in range(4):
        whole.update()
    part = training(folder=tmp_path / "b")
    for _ in range(2):
        part.update()
    part.save(tmp_path / "run.pt")
    rest = training(folder=tmp_path / "b")
    rest.resume(tmp_path / "run.pt")
    for _ in range(2):
        rest.update()
    assert rest.step == whole.step == 4
    for x, y in zip(
        whole.average.state_dict().values(), rest.average.state_dict().values(), strict=True
    ):
        assert torch.equal(x, y)


def test_a_run_writes_an_encoder_its_history_and_what_it_needs_to_go_on(tmp_path: Path) -> None:
    output = tmp_path / "encoder.safetensors"
    seen: list[EncoderStep] = []
    facts = train_encoder(GENERATOR, 5, output, settings=SMALL, steps=2, callback=seen.append)
    assert [step.step for step in seen] == [1, 2]
    assert facts["steps"] == 2
    assert facts["samples"] == 4
    assert set(facts["held_out"]) == {"features", "styles", "rgb"}
    with pytest.raises(UsageError, match=r"encoder\.run: a run is there; use --resume"):
        train_encoder(GENERATOR, 5, output, settings=SMALL, steps=3)
    again = train_encoder(GENERATOR, 5, output, settings=SMALL, steps=3, resume=True)
    assert again["steps"] == 3
    with pytest.raises(UsageError, match="no run to resume; train first"):
        train_encoder(
            GENERATOR, 5, tmp_path / "other.safetensors", settings=SMALL, steps=3, resume=True
        )


def test_a_run_may_start_from_an_encoder(tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train_encoder(GENERATOR, 5, first, settings=SMALL, steps=2)
    facts = train_encoder(GENERATOR, 5, second, settings=SMALL, steps=0, start=first)
    assert facts["start"] == "first.safetensors"
    a, b = (load_encoder(path, GENERATOR).state_dict() for path in (first, second))
    assert all(torch.equal(t, b[name]) for name, t in a.items())
    again = train_encoder(GENERATOR, 5, second, settings=SMALL, steps=1, resume=True)
    assert again["start"] == "first.safetensors"
    assert not torch.equal(
        a["style_head.leave.weight"], load_encoder(second, GENERATOR).style_head.leave.weight
    )
    with pytest.raises(UsageError, match="give a start or resume"):
        train_encoder(GENERATOR, 5, second, settings=SMALL, steps=2, resume=True, start=first)
    with pytest.raises(
        UsageError, match="an encoder of layer 5 with efficientnet-b0, expected layer 4"
    ):
        train_encoder(
            GENERATOR, 4, tmp_path / "third.safetensors", settings=SMALL, steps=1, start=first
        )


def test_two_runs_in_one_folder_are_refused_while_both_live(tmp_path: Path) -> None:
    output = tmp_path / "encoder.safetensors"
    with (
        alone_in(tmp_path / "encoder.run"),
        pytest.raises(UsageError, match=r"encoder\.run: another process trains"),
    ):
        train_encoder(GENERATOR, 5, output, settings=SMALL, steps=1)
    assert train_encoder(GENERATOR, 5, output, settings=SMALL, steps=1)["steps"] == 1


def test_a_run_of_other_settings_or_no_run_at_all_is_not_resumed(tmp_path: Path) -> None:
    run = training()
    run.save(tmp_path / "run.pt")
    with pytest.raises(ModelFileError, match="a run of another generator, layer or settings"):
        training(EncoderSettings(batch=4, fresh=1, held_out=4)).resume(tmp_path / "run.pt")
    (tmp_path / "run.pt").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="not a training run that can go on"):
        run.resume(tmp_path / "run.pt")


def test_a_run_needs_an_end() -> None:
    with pytest.raises(UsageError, match="expected a number of steps or a time"):
        training().run(steps=None, seconds=None, callback=print, test_every=1)


@pytest.mark.parametrize(
    "changes", [{"fresh": 13}, {"image_batch": 13}, {"lr": 0.0}, {"ema": 1.0}, {"held_out": 0}]
)
def test_settings_outside_their_range_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        EncoderSettings(**changes)
