"""FID, KID, precision and recall are those of torch-fidelity's own interface, on random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_inception import write_inception

from invert.errors import ModelFileError, UsageError
from invert.metrics.inception import (
    InceptionFeatures,
    inception_distance,
    inception_features,
    kernel_distance,
    load_inception,
    precision_recall,
)
from invert.metrics.picture_sets import FolderPictures

COUNT = 5
LAYER = "64"  # an early one, for speed; the slow test takes the usual one


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inception(tmp_path_factory.mktemp("weights") / "inception.pth")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders of smooth pictures, the second ones darker."""
    random = np.random.RandomState(0)
    made = []
    for name, top in (("real", 256), ("made", 160)):
        folder = tmp_path_factory.mktemp(name)
        for k in range(COUNT):
            small = Image.fromarray(random.randint(0, top, (5, 5, 3), np.uint8))
            small.resize((40, 40), Image.Resampling.BICUBIC).save(folder / f"{k}.png")
        made.append(folder)
    return made[0], made[1]


@pytest.fixture(scope="module")
def network(weights: Path) -> InceptionFeatures:
    return load_inception(weights, layer=LAYER)


@pytest.fixture(scope="module")
def features(
    network: InceptionFeatures, folders: tuple[Path, Path]
) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = (inception_features(FolderPictures(folder), network, batch=2) for folder in folders)
    return a, b


def by_torch_fidelity(
    folders: tuple[Path, Path], weights: Path, layer: str, **metric: Any
) -> dict[str, float]:
    import torch_fidelity

    name = next(iter(metric))
    return torch_fidelity.calculate_metrics(
        input1=str(folders[1]),
        input2=str(folders[0]),
        cuda=False,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(weights),
        cache=False,
        save_cpu_ram=True,
        verbose=False,
        **{f"feature_layer_{name}": layer},
        **metric,
    )


def test_fid_is_torch_fidelitys(
    features: tuple[torch.Tensor, torch.Tensor], folders: tuple[Path, Path], weights: Path
) -> None:
    expected = by_torch_fidelity(folders, weights, LAYER, fid=True)
    found = inception_distance(*features)
    assert found > 1e-3
    # Covariances of five pictures are singular, and the order of the sets changes the rounding.
    assert found == pytest.approx(expected["frechet_inception_distance"], rel=1e-4)


@pytest.mark.slow
def test_fid_of_all_features_is_torch_fidelitys(folders: tuple[Path, Path], weights: Path) -> None:
    expected = by_torch_fidelity(folders, weights, "2048", fid=True)
    network = load_inception(weights)
    a, b = (inception_features(FolderPictures(folder), network) for folder in folders)
    assert a.shape == (COUNT, 2048)
    found = inception_distance(a, b)
    assert found == pytest.approx(expected["frechet_inception_distance"], rel=1e-3)


def test_kid_is_torch_fidelitys(
    features: tuple[torch.Tensor, torch.Tensor], folders: tuple[Path, Path], weights: Path
) -> None:
    how = {"kid_subsets": 7, "kid_subset_size": 4}
    expected = by_torch_fidelity(folders, weights, LAYER, kid=True, **how)
    mean, std = kernel_distance(features[1], features[0], subsets=7, subset_size=4)
    assert mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-5)
    assert std == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-5)


def test_precision_and_recall_are_torch_fidelitys(
    features: tuple[torch.Tensor, torch.Tensor], folders: tuple[Path, Path], weights: Path
) -> None:
    expected = by_torch_fidelity(folders, weights, LAYER, prc=True, prc_neighborhood=2)
    found = precision_recall(*features, neighbours=2)
    assert found == (expected["precision"], expected["recall"])


def test_precision_and_recall_say_what_is_missing() -> None:
    real = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    half = real[:3] + 0.1  # generated pictures of one of two kinds
    assert precision_recall(real, half, neighbours=1) == (1.0, 0.5)
    assert precision_recall(half, real, neighbours=1) == (0.5, 1.0)


def test_features_are_those_of_single_pictures_in_any_batches(
    features: tuple[torch.Tensor, torch.Tensor],
    network: InceptionFeatures,
    folders: tuple[Path, Path],
) -> None:
    done: list[int] = []
    pictures = FolderPictures(folders[0])
    found = inception_features(pictures, network, batch=1, callback=done.append)
    assert done == [1, 2, 3, 4, 5]
    torch.testing.assert_close(found, features[0], rtol=1e-4, atol=1e-5)


def test_sets_that_are_too_small_are_refused() -> None:
    a, b = torch.rand(3, 8), torch.rand(2, 8)
    with pytest.raises(UsageError, match=r"at least 1000 pictures for KID .* got 3 and 2"):
        kernel_distance(a, b)
    with pytest.raises(UsageError, match="at least 4 pictures for 3 neighbours of each"):
        precision_recall(a, b)
    with pytest.raises(UsageError, match="at least 2 pictures for FID, got 3 and 1"):
        inception_distance(a, b[:1])
    with pytest.raises(UsageError, match="at least 1 neighbour, got 0"):
        precision_recall(a, b, neighbours=0)
    with pytest.raises(UsageError, match="at least 1 subset of 2 pictures, got 0 of 2"):
        kernel_distance(a, b, subsets=0, subset_size=2)


def test_a_file_of_other_weights_is_refused_and_none_is_run(tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity")

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "w.pth"
    torch.save({"fc.weight": torch.zeros(2)}, path)
    with pytest.raises(ModelFileError, match=r"w\.pth: expected torch-fidelity's .* got other"):
        load_inception(path)
    torch.save(Hostile(), path)
    with pytest.raises(ModelFileError, match=r"w\.pth: "):
        load_inception(path)
    path.write_bytes(b"text")
    with pytest.raises(ModelFileError, match=r"w\.pth: "):
        load_inception(path)
    assert not (tmp_path / "ran").exists()
