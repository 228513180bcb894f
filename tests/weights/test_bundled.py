"""The generators that come with the package: they load, fit their cards, and do what others do."""

from __future__ import annotations

import pytest
import torch

from invert.loading import load_generator
from invert.weights import BUNDLED, MODELS, model_card

MAX_BYTES = 6 << 20  # of all of them together


def test_names_are_not_those_of_downloads() -> None:
    assert not set(BUNDLED) & set(MODELS)


def test_they_are_small() -> None:
    assert sum(network.path.stat().st_size for network in BUNDLED.values()) < MAX_BYTES


@pytest.mark.parametrize("name", BUNDLED)
def test_a_card_names_the_fingerprint_data_and_licence(name: str) -> None:
    card = model_card(name)
    assert load_generator(name).fingerprint[:16] in card
    assert "Blue Marble" in card
    assert "MIT" in card


def test_the_map_generator_contains_smaller_pictures_in_larger_ones() -> None:
    generator = load_generator("earth-64")
    small, large = (generator.sample(5, space="FNZ3", features=(side, side)) for side in (8, 16))
    assert small.features is not None
    assert large.features is not None
    assert torch.equal(small.features, large.features[:, :, :8, :8])
    assert generator.render(large).shape == (1, 3, 128, 128)


def test_the_plain_generator_has_an_rgb_map_at_layer_5() -> None:
    generator = load_generator("earth-64-plain")
    latent = generator.sample(0, space="FNW5")
    assert latent.rgb is not None
    image, again = generator.render(latent), generator.render(generator.sample(0, space="NW+"))
    assert torch.allclose(image, again, atol=1e-4)
