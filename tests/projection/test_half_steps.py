"""Steps in bfloat16: where they are the default, and that a result never is."""

from __future__ import annotations

import pytest
import torch
from networks import small_mobile

from invert.projection.projector import networks_for, project
from invert.projection.settings import ProjectionSettings, preset

CPU, GPU = torch.device("cpu"), torch.device("cuda")
Able = dict[str, bool | str]
ABLE: Able = {"avx512_bf16": True, "cpu_name": "AMD EPYC 9R45"}
UNABLE: Able = {"avx512_bf16": False, "cpu_name": "AMD EPYC 7R13"}
INTEL: Able = {"avx512_bf16": True, "cpu_name": "Intel Xeon"}
GENERATOR = small_mobile()
SETTINGS = ProjectionSettings(
    steps=4, warmup=2, companion_steps=2, mse_weight=1.0, perceptual="none", half=None
)


def processor(able: Able | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch tell these capabilities; None: a torch that cannot tell."""
    if able is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)


def picture(seed: int) -> torch.Tensor:
    """An image [1, 3, 64, 64] in [−1, 1]."""
    image = GENERATOR.render(GENERATOR.sample(seed))
    return image / image.abs().max()


@pytest.mark.parametrize(
    ("able", "half"),
    [
        (ABLE, True),
        (INTEL, False),
        ({**INTEL, "amx_bf16": True}, True),
        ({"avx512_bf16": True}, False),
        (UNABLE, False),
        ({"bf16": True}, False),
        ({}, False),
        (None, False),
    ],
)
@pytest.mark.parametrize("name", ["fast", "draft"])
def test_steps_are_in_bfloat16_on_a_cpu_that_is_known_to_be_faster_so(
    name: str, able: Able | None, half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(able, monkeypatch)
    assert preset(name, "FNW5").for_device(CPU).half is half
    assert preset(name, "FNW5").for_device(GPU).half is False


@pytest.mark.parametrize("half", [True, False])
def test_a_decision_about_half_precision_stands_on_every_processor(
    half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for able in (ABLE, UNABLE, None):
        processor(able, monkeypatch)
        assert SETTINGS.replace(half=half).for_device(CPU).half is half


def test_presets_of_publications_are_in_full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(ABLE, monkeypatch)
    assert {preset(name, "W").for_device(CPU).half for name in ("thesis", "stylegan2")} == {False}


@pytest.mark.parametrize(("able", "half"), [(ABLE, True), (UNABLE, False)])
@pytest.mark.filterwarnings("ignore:this processor has no bfloat16")
def test_a_point_says_which_precision_its_steps_had_and_is_in_full_precision_itself(
    able: Able, half: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor(able, monkeypatch)
    assert (networks_for(GENERATOR, SETTINGS, None, None).generator is GENERATOR) is not half
    image = picture(3)
    result = project(GENERATOR, image, "FNW5", settings=SETTINGS)
    assert result.latent.metadata["projection"]["settings"]["half"] is half
    assert {t.dtype for t in result.latent.tensors()} == {torch.float32}
    assert torch.equal(result.image, GENERATOR.render(result.latent))


@pytest.mark.filterwarnings("ignore:this processor has no bfloat16")
def test_images_in_half_precision_have_the_results_that_each_has_alone() -> None:
    images = [picture(seed) for seed in (3, 4)]
    settings = SETTINGS.replace(half=True)
    together = project(GENERATOR, images, "FNW5", settings=settings)
    for image, result in zip(images, together, strict=True):
        alone = project(GENERATOR, image, "FNW5", settings=settings)
        assert torch.equal(result.image, alone.image)
        assert all(map(torch.equal, result.latent.tensors(), alone.latent.tensors()))
