"""Training an encoder: that it learns, that a stopped run goes on exactly, what it writes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from networks import small_generator
from searches import short_searches

import invert.encoders.training
import invert.encoders.training_run
from invert.encoders.encoder import new_encoder
from invert.encoders.encoder_files import load_encoder, save_encoder
from invert.encoders.encoding import Encoding
from invert.encoders.settings import EncoderSettings
from invert.encoders.training import EncoderStep, EncoderTraining, cosine, share_of
from invert.encoders.training_run import alone_in, train_encoder
from invert.encoders.training_state import resume_run, save_run
from invert.errors import ModelFileError, UsageError

GENERATOR = small_generator()
SMALL = EncoderSettings(
    batch=4, held_out=4, held_out_images=2, warmup=1, ema=0.5, dist_weight=0.0, perceptual=()
)
PLAIN = EncoderSettings(batch=4, held_out=4, image_batch=0, warped=0, warmup=1, perceptual=())


@pytest.fixture(autouse=True)
def quick():
    with short_searches():
        yield


def training(settings: EncoderSettings = SMALL) -> EncoderTraining:
    return EncoderTraining(GENERATOR, 5, settings, [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trunk": "resnet"}, "unknown backbone 'resnet'; known: efficientnet-b0"),
        ({"batch": 0}, "batch is at least 1, got 0"),
        ({"batch": 2, "warped": 3}, "warped is from 0 to batch, which is 2; got 3"),
        ({"batch": 2, "image_batch": -1}, "image_batch is from 0 to batch, which is 2; got -1"),
        ({"image_every": 0}, "image_every is at least 1, got 0"),
        ({"image_side": 16}, "image_side is at least 32, got 16"),
        (
            {"held_out": 4, "held_out_images": 5},
            "held_out_images is from 0 to held_out, which is 4",
        ),
        ({"lr": 0.0}, "expected lr > 0"),
        ({"seed": 512}, r"seed is an integer in \[0, 512\), got 512"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        EncoderSettings(**changes)


def test_a_small_batch_needs_no_other_setting() -> None:
    assert (EncoderSettings(batch=1).compared, EncoderSettings(batch=1).unknown) == (1, 1)
    assert (EncoderSettings(batch=24).compared, EncoderSettings(batch=24).unknown) == (6, 6)


def test_held_out_faces_are_not_those_of_training() -> None:
    run = training()
    batch = run.batches[0].points.styles
    assert not torch.equal(batch[:1], run.held_out.points.encoding.styles[:1])


def test_training_lowers_all_errors_on_a_batch() -> None:
    run = training(EncoderSettings(**{**vars(SMALL), "lr": 2e-3}))
    run.batches = dict.fromkeys(range(5), run.batches[0])
    losses = [run.update(0.0) for _ in range(5)]
    for first, last in zip(
        (*losses[0].missed.values(), losses[0].images),
        (*losses[-1].missed.values(), losses[-1].images),
        strict=True,
    ):
        assert last < 0.95 * first


def test_image_terms_reach_the_encoder_and_are_zero_for_the_point_itself() -> None:
    run = training()
    batch = run.batches[0]
    m, count = batch.warped, len(batch.targets)
    noise = [t[m:] for t in batch.noise]
    exact = run.terms(
        run.renderer(batch.points.rows(slice(0, count - m)), noise), batch.targets[m:]
    )
    assert exact["mse"] < 0.03  # what exceeds [−1, 1] is not in the target
    encoding = run.encode(batch.images).rows(slice(0, count))
    run.terms(run.renderer(encoding, batch.noise), batch.targets)["mse"].backward()
    for head in (run.model.feature_head, run.model.rgb_head, run.model.style_head):
        assert head.leave.weight.grad.abs().max() > 0


def test_the_distribution_term_holds_the_features_of_warped_images() -> None:
    """Its weight is all that differs, and it changes what is learned from warped images alone."""
    made = []
    for weight in (0.0, 10.0):
        settings = EncoderSettings(
            **{**vars(SMALL), "image_batch": 0, "image_weight": 0.0, "dist_weight": weight}
        )
        run = training(settings)
        made.append(run.update(0.0))
    assert made[1].loss > made[0].loss
    assert torch.equal(made[0].missed["styles"], made[1].missed["styles"])


def test_updates_without_image_terms_see_no_warped_images() -> None:
    run = training(EncoderSettings(**{**vars(SMALL), "image_every": 2}))
    assert [len(run.batches[k].images) for k in range(3)] == [5, 4, 5]
    assert run.update(0.0).images is not None
    assert run.update(0.0).images is None
    assert run.seen == 9


def test_images_are_compared_at_the_size_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    run = training(EncoderSettings(**{**vars(SMALL), "image_side": 32}))
    sizes = []
    monkeypatch.setattr(
        run,
        "terms",
        lambda a, b: sizes.append((a.shape, b.shape)) or {"mse": (a - b).square().mean()},
    )
    run.update(0.0)
    shape = (run.settings.compared + run.settings.unknown, 3, 32, 32)
    assert sizes == [(shape, shape)]


def test_previews_of_a_size_that_there_is_not_are_refused() -> None:
    training(EncoderSettings(**{**vars(SMALL), "image_side": 32, "previews": True}))
    with pytest.raises(UsageError, match=r"compared at 40 px, and previews .* have 16, 32 px here"):
        training(EncoderSettings(**{**vars(SMALL), "image_side": 40, "previews": True}))


def test_the_rate_rises_and_falls_to_zero_over_steps_or_time() -> None:
    assert [cosine(share) for share in (0, 0.5, 1, 2)] == pytest.approx([1, 0.5, 0, 0])
    assert share_of(5, 10, 1e9, 60) == 0.5
    assert share_of(5, None, 30, 60) == 0.5
    assert share_of(5, None, 30, None) == 0
    steps: list[EncoderStep] = []
    run = training(EncoderSettings(**{**vars(PLAIN), "warmup": 2}))
    run.run(steps=2, seconds=None, callback=steps.append, test_every=1)
    assert [step.rate for step in steps] == pytest.approx([0.5 * PLAIN.lr, 0.5 * PLAIN.lr])


def test_a_run_over_a_time_ends_with_it_and_goes_on_with_its_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A second passes between two looks at the clock.
    seconds = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: float(next(seconds)))
    monkeypatch.setattr("invert.encoders.training.time", clock)

    run = training(PLAIN)
    run.run(steps=None, seconds=5, callback=lambda step: None, test_every=1000)
    assert 5 <= run.seconds <= 8
    made = run.step
    run.run(steps=None, seconds=5, callback=lambda step: None, test_every=1000)
    assert run.step == made > 0
    run.run(steps=None, seconds=12, callback=lambda step: None, test_every=1000)
    assert run.step > made


def test_half_precision_learns_as_full_does() -> None:
    full, half = (
        training(EncoderSettings(**{**vars(SMALL), "batch": 1, "half": half}))
        for half in (False, True)
    )
    a, b = full.update(0.0), half.update(0.0)
    assert {p.dtype for p in half.model.parameters()} == {torch.float32}
    assert b.loss == pytest.approx(float(a.loss), rel=0.05)
    assert b.loss != a.loss


def test_a_loss_that_is_not_finite_says_what_to_do() -> None:
    run = training(PLAIN)
    with torch.no_grad():
        run.model.style_head.leave.bias.fill_(float("nan"))
    with pytest.raises(UsageError, match=r"not finite at step 1; begin again .*--init.*--lr"):
        run.run(steps=2, seconds=None, callback=lambda step: None, test_every=1)


class Killed(Exception):
    """Stands for the end of the process: nothing is written after it."""


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_encoder(path, GENERATOR).state_dict()


def test_a_killed_run_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was saved at step 1, went on to step 2 and died there."""
    monkeypatch.setattr(invert.encoders.training_run, "TEST_EVERY", 1)
    whole, killed = tmp_path / "whole.safetensors", tmp_path / "killed.safetensors"
    train_encoder(GENERATOR, 5, whole, settings=SMALL, steps=3)

    def die(step: EncoderStep) -> None:
        monkeypatch.setattr(invert.encoders.training_run, "SAVE_SECONDS", 1e9)
        if step.step == 2:
            raise Killed

    monkeypatch.setattr(invert.encoders.training_run, "SAVE_SECONDS", 0.0)
    with pytest.raises(Killed):
        train_encoder(GENERATOR, 5, killed, settings=SMALL, steps=3, callback=die)
    assert killed.exists()  # the encoder as it was at step 1
    steps: list[int] = []
    train_encoder(
        GENERATOR,
        5,
        killed,
        settings=SMALL,
        steps=3,
        resume=True,
        callback=lambda step: steps.append(step.step),
    )
    assert steps == [2, 3]
    a, b = weights(whole), weights(killed)
    assert all(torch.equal(t, b[name]) for name, t in a.items())

    histories = [
        [json.loads(line) for line in (path.with_suffix(".run") / "history.jsonl").open()]
        for path in (whole, killed)
    ]
    for one, other in zip(*histories, strict=True):
        assert {k: v for k, v in one.items() if "second" not in k} == {
            k: v for k, v in other.items() if "second" not in k
        }
    assert set(histories[0][0]["held_out"]) == {"features", "styles", "rgb", "mse"}


def test_a_run_writes_an_encoder_its_history_and_what_it_needs_to_go_on(tmp_path: Path) -> None:
    output = tmp_path / "encoder.safetensors"
    seen: list[EncoderStep] = []
    facts = train_encoder(GENERATOR, 5, str(output), settings=SMALL, steps=2, callback=seen.append)
    assert seen[-1].step == 2
    assert facts["steps"] == 2
    assert facts["samples"] == 8
    assert facts["images_per_second"] > 0
    assert set(facts["held_out"]) == {"features", "styles", "rgb", "mse"}
    with pytest.raises(UsageError, match=r"encoder\.run: a run is there; use --resume"):
        train_encoder(GENERATOR, 5, output, settings=SMALL, steps=3)
    again = train_encoder(GENERATOR, 5, output, settings=SMALL, steps=3, resume=True)
    assert again["steps"] == 3
    with pytest.raises(UsageError, match="no run to resume; train first"):
        train_encoder(
            GENERATOR, 5, tmp_path / "other.safetensors", settings=SMALL, steps=3, resume=True
        )


def test_an_interrupted_run_is_written_at_once_with_what_was_measured_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(step: EncoderStep) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "encoder.safetensors"
    monkeypatch.setattr(invert.encoders.training, "READ_SECONDS", 0.0)
    facts = train_encoder(GENERATOR, 5, output, settings=PLAIN, steps=3, callback=interrupt)
    assert (facts["steps"], facts["stop_reason"], facts["held_out"]) == (1, "interrupted", {})
    assert load_encoder(output, GENERATOR)
    facts = train_encoder(GENERATOR, 5, output, settings=PLAIN, steps=2, resume=True)
    assert (facts["steps"], facts["stop_reason"]) == (2, "done")
    assert facts["held_out"]["features"] > 0


def test_a_run_may_start_from_an_encoder(tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    train_encoder(GENERATOR, 5, first, settings=SMALL, steps=2)
    facts = train_encoder(GENERATOR, 5, second, settings=SMALL, steps=0, start=first)
    [line] = (second.with_suffix(".run") / "history.jsonl").read_text().splitlines()
    assert json.loads(line)["held_out"] == facts["held_out"]
    assert facts["start"] == "first.safetensors"
    a, b = weights(first), weights(second)
    assert all(torch.equal(t, b[name]) for name, t in a.items())
    again = train_encoder(GENERATOR, 5, second, settings=SMALL, steps=1, resume=True)
    assert again["start"] == "first.safetensors"
    name = "style_head.leave.weight"
    assert not torch.equal(a[name], weights(second)[name])
    with pytest.raises(UsageError, match="give a start or resume"):
        train_encoder(GENERATOR, 5, second, settings=SMALL, steps=2, resume=True, start=first)
    with pytest.raises(
        UsageError, match="an encoder of layer 5 with efficientnet-b0, expected layer 4"
    ):
        train_encoder(
            GENERATOR, 4, tmp_path / "third.safetensors", settings=SMALL, steps=1, start=first
        )


def test_an_encoder_with_a_refinement_is_trained_on_without_it(tmp_path: Path) -> None:
    start, output = tmp_path / "start.safetensors", tmp_path / "on.safetensors"
    encoder = new_encoder(GENERATOR, 5, passes=2)
    torch.nn.init.normal_(encoder.style_head.leave.weight)
    save_encoder(encoder, start, {})
    train_encoder(GENERATOR, 5, output, settings=SMALL, steps=0, start=start)
    trained = load_encoder(output, GENERATOR)
    assert trained.refinement is None
    name = "style_head.leave.weight"
    assert torch.allclose(weights(output)[name], weights(start)[name])


def test_two_runs_in_one_folder_are_refused_while_both_live(tmp_path: Path) -> None:
    output = tmp_path / "encoder.safetensors"
    with (
        alone_in(tmp_path / "encoder.run"),
        pytest.raises(UsageError, match=r"encoder\.run: another process trains"),
    ):
        train_encoder(GENERATOR, 5, output, settings=SMALL, steps=1)
    assert train_encoder(GENERATOR, 5, output, settings=SMALL, steps=1)["steps"] == 1


def test_an_encoding_keeps_rows_of_all_its_parts() -> None:
    encoding = Encoding(torch.arange(3.0), None, torch.arange(3.0))
    assert [t if t is None else t.tolist() for t in encoding.rows(slice(1, None))] == [
        [1, 2],
        None,
        [1, 2],
    ]


def test_a_run_of_other_settings_or_no_run_at_all_is_not_resumed(tmp_path: Path) -> None:
    run = training()
    save_run(run, tmp_path / "run.pt")
    with pytest.raises(ModelFileError, match="a run of another generator, layer or settings"):
        resume_run(training(PLAIN), tmp_path / "run.pt")
    (tmp_path / "run.pt").write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match="not a training run that can go on"):
        resume_run(run, tmp_path / "run.pt")


def test_a_run_needs_an_end() -> None:
    with pytest.raises(UsageError, match="expected a number of steps or a time"):
        training().run(steps=None, seconds=None, callback=print, test_every=1)
