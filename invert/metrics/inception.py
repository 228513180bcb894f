"""FID, KID, precision and recall by the package torch-fidelity, on Inception's weights from a file.

FID: M. Heusel et al., NeurIPS 2017 ([S] 2.5.1). KID: M. Bińkowski et al., "Demystifying MMD GANs",
ICLR 2018. Precision and recall: T. Kynkäänniemi et al., "Improved Precision and Recall Metric for
Assessing Generative Models", NeurIPS 2019, which takes features of VGG16; here they are
Inception's. torch-fidelity: A. Obukhov et al., 2020, https://github.com/toshas/torch-fidelity.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from invert.checkpoints.safe_torch import load_tensors_from
from invert.checkpoints.source import Kind, naming, read_file, sniff
from invert.errors import ModelFileError, ModelUnavailableError, UsageError
from invert.files.file_kinds import shown
from invert.hardware.precision import full_precision
from invert.images.images import to_levels
from invert.metrics.picture_sets import PictureSet, batch_size

FILE = "weights-inception-2015-12-05-6726825d.pth"  # of torch-fidelity's release 0.2.0
EXTRACTOR = "inception-v3-compat"
LAYER = "2048"
MAX_BYTES = 1 << 30  # torch-fidelity's file has 95 MB
INSTALL = "these measures need torch-fidelity; pip install 'invert[metrics]'"


class InceptionFeatures(nn.Module):
    """Features [N, D] of RGB images [N, 3, H, W] in [−1, 1], which it resizes to 299 px itself.

    torch-fidelity's network; it looks at images of 8 bits. `sha256` is that of the file.
    """

    def __init__(self, extractor: nn.Module, layer: str, sha256: str) -> None:
        super().__init__()
        self.extractor, self.layer, self.sha256 = extractor, layer, sha256

    @property
    def facts(self) -> dict[str, str]:
        """What a number that was measured with it stands beside."""
        return {"network": EXTRACTOR, "layer": self.layer, "sha256": self.sha256}

    def forward(self, images: Tensor) -> Tensor:
        """Features [N, D] of a layer whose width D is its name."""
        return self.extractor(to_levels(images))[0]


def load_inception(
    path: Path, *, device: torch.device | str = "cpu", layer: str = LAYER
) -> InceptionFeatures:
    """The network whose weights are in torch-fidelity's file, which is never downloaded.

    Nothing in the file is run. `layer` is one of torch-fidelity's: 64, 192, 768, 2048. Raises
    :class:`ModelFileError` for a file with other weights, :class:`ModelUnavailableError` without
    the package.
    """
    # torch-fidelity would let the pickle run: it gets one that was read and written by us.
    with naming(shown(path)):
        data = read_file(path, MAX_BYTES)
        kind = sniff(data)
        if kind not in (Kind.TORCH_ZIP, Kind.TORCH_STREAM):
            raise ModelFileError(f"expected torch-fidelity's {FILE}, this is {kind.value}")
        checked = io.BytesIO()
        torch.save(load_tensors_from(data, kind), checked)
        checked.seek(0)

    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ModelUnavailableError(INSTALL) from error
    with naming(shown(path)):
        try:
            extractor = FeatureExtractorInceptionV3(
                EXTRACTOR, [layer], feature_extractor_weights_path=checked
            )
        except (RuntimeError, TypeError, AttributeError) as error:
            reason = str(error).splitlines()[0][:120]
            raise ModelFileError(
                f"expected torch-fidelity's {FILE}, got other weights ({reason})"
            ) from None

    network = InceptionFeatures(extractor, layer, hashlib.sha256(data).hexdigest())
    return network.eval().requires_grad_(False).to(device)


def inception_features(
    pictures: PictureSet,
    network: InceptionFeatures,
    *,
    batch: int | None = None,
    callback: Callable[[int], None] | None = None,
) -> Tensor:
    """Features [N, D] of a set, float32 on the CPU; `callback` gets the number of pictures."""
    device = next(network.extractor.parameters()).device
    step, features = batch_size(pictures.size, batch), []
    step = step if batch else min(64, step)
    for start in range(0, len(pictures), step):
        images = pictures.images(start, min(start + step, len(pictures)))
        with torch.inference_mode(), full_precision():
            features.append(network(images.to(device)).cpu())
        if callback is not None:
            callback(start + len(images))
    return torch.cat(features)


def inception_distance(a: Tensor, b: Tensor) -> float:
    """FID of features [N, D] of two sets."""
    from torch_fidelity.metric_fid import (
        KEY_METRIC_FID,
        fid_features_to_statistics,
        fid_statistics_to_metric,
    )

    check_counts(a, b, 2, "FID")
    statistics = [fid_features_to_statistics(x) for x in (a, b)]
    return fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]


def kernel_distance(
    a: Tensor, b: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
    """KID of features [N, D] of two sets: mean and standard deviation over random subsets.

    The kernel is (xᵀy / D + 1)³. Defaults are torch-fidelity's. Raises :class:`UsageError` for sets
    smaller than a subset.
    """
    from torch_fidelity.metric_kid import (
        KEY_METRIC_KID_MEAN,
        KEY_METRIC_KID_STD,
        kid_features_to_metric,
    )

    check_counts(a, b, subset_size, "KID by subsets of that size", "choose a smaller --subset-size")
    if subsets < 1 or subset_size < 2:
        raise UsageError(
            f"expected at least 1 subset of 2 pictures, got {subsets} of {subset_size}"
        )
    found = kid_features_to_metric(
        a,
        b,
        kid_subsets=subsets,
        kid_subset_size=subset_size,
        rng_seed=seed,
        verbose=False,
    )
    return found[KEY_METRIC_KID_MEAN], found[KEY_METRIC_KID_STD]


def precision_recall(
    real: Tensor, generated: Tensor, *, neighbours: int = 3
) -> tuple[float, float]:
    """The share of generated features [N, D] near real ones, and of real near generated ones.

    Near is within the distance of some feature's `neighbours`-th nearest neighbour in its own set.
    Raises :class:`UsageError` for sets without so many neighbours.
    """
    from torch_fidelity.metric_prc import (
        KEY_METRIC_PRECISION,
        KEY_METRIC_RECALL,
        prc_features_to_metric,
    )

    if neighbours < 1:
        raise UsageError(f"expected at least 1 neighbour, got {neighbours}")
    check_counts(real, generated, neighbours + 1, f"{neighbours} neighbours of each")
    found = prc_features_to_metric(
        generated, real, prc_neighborhood=neighbours, save_cpu_ram=True, verbose=False
    )
    return found[KEY_METRIC_PRECISION], found[KEY_METRIC_RECALL]


def check_counts(a: Tensor, b: Tensor, least: int, of: str, hint: str = "take more") -> None:
    """Raise :class:`UsageError` unless both sets have `least` pictures."""
    if min(len(a), len(b)) < least:
        raise UsageError(
            f"expected at least {least} pictures for {of}, got {len(a)} and {len(b)}; {hint}"
        )
