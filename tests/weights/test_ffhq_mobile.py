"""The generator of the wheel random-face: graphs read, weights renamed, the same pictures."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from openvino_graph import evaluate
from torch import Tensor

from invert.checkpoints import fingerprint
from invert.checkpoints.fingerprint import FFHQ_MOBILE
from invert.errors import ModelFileError
from invert.networks.mobile_stylegan import MobileStyleGAN
from invert.weights import MODELS
from invert.weights.archives import read_archive, read_members
from invert.weights.downloads import download_archive
from invert.weights.ffhq_mobile import SYNTHESIS_LAYERS, convert
from invert.weights.openvino_ir import read_constants


def build_graph(constants: dict[str, np.ndarray]) -> tuple[bytes, bytes]:
    """An IR graph of operations that each have one argument and one float32 constant."""
    layers, edges, blob = [], [], b"\0" * 12
    for index, (name, value) in enumerate(constants.items()):
        shape = ", ".join(map(str, value.shape))
        data = f'element_type="f32" offset="{len(blob)}" shape="{shape}" size="{value.nbytes}"'
        layers.append(
            f'<layer id="{2 * index}" name="c{index}" type="Const"><data {data}/></layer>'
        )
        layers.append(f'<layer id="{2 * index + 1}" name="{name}" type="Op"/>')
        edges.append(f'<edge from-layer="{2 * index}" to-layer="{2 * index + 1}" to-port="1"/>')
        blob += value.astype("<f4").tobytes()
    return (
        f"<net><layers>{''.join(layers)}</layers><edges>{''.join(edges)}</edges></net>".encode(),
        blob,
    )


# --- the reader
# -----------------------------------------------------------------------------------------


def test_constants_come_back_under_the_name_of_the_operation_that_uses_them() -> None:
    constants = {
        "Conv_1": np.random.default_rng(0).standard_normal((2, 3, 1, 1)).astype(np.float32),
        "Scalar": np.array(2.5, np.float32),
    }
    found = read_constants(*build_graph(constants), source="g.xml")
    assert list(found) == list(constants)
    for name, value in constants.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].shape == value.shape


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ((b"<net", b""), r"g\.xml: not an OpenVINO IR graph"),
        ((b'shape="2"', b'shape="3"'), r"g\.xml: constant of Add has shape \[3\] but 8 bytes"),
        ((b'shape="2"', b'shape="-2"'), r"has shape \[-2\] but 8 bytes"),
        ((b'offset="12"', b'offset="16"'), r"lies at bytes 16\.\.24, the blob has 20"),
        ((b'offset="12"', b'offset="-12"'), r"lies at bytes -12\.\.-4"),
        ((b'offset="12"', b'offset="x"'), "not an OpenVINO IR graph"),
        ((b'offset="12"', b""), "not an OpenVINO IR graph"),
        ((b'from-layer="0"', b'from-layer="7"'), "not an OpenVINO IR graph"),
    ],
)
def test_a_damaged_graph_is_refused(broken: tuple[bytes, bytes], message: str) -> None:
    xml, blob = build_graph({"Add": np.zeros(2, np.float32)})
    assert broken[0] in xml
    with pytest.raises(ModelFileError, match=message):
        read_constants(xml.replace(*broken), blob, source="g.xml")


# --- the converter
# --------------------------------------------------------------------------------------


def toy_members() -> dict[str, bytes]:
    """Graphs with the real operations' names, random values, and 4 channels in the synthesis
    network.
    """
    random = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(np.float32)

    mapping = {f"MatMul_{8 + 11 * k}": normal(512, 512) / 20 for k in range(8)}
    mapping |= {f"Reshape_{14 + 11 * k}": normal(512) for k in range(8)}
    synthesis = {"Expand_9": normal(1, 4, 4, 4), "Gemm_11/WithoutBiases": normal(4, 512)}
    synthesis |= {
        "Gemm_11": normal(1, 4),
        "Mul_19": normal(1, 1, 1, 1),
        "Conv_21": normal(4, 4, 3, 3),
    }
    synthesis |= {"Add_40": normal(1, 1, 4, 4) + 3, "Add_41": normal(1, 4, 1, 1)}
    for pair in range(7):
        n, size = 100 * pair, 8
        for gemm, mul, conv, channels in (
            (77 + n, 85 + n, 88 + n, 1),
            (110 + n, 118 + n, 121 + n, 4),
        ):
            synthesis |= {
                f"Gemm_{gemm}/WithoutBiases": normal(channels, 512),
                f"Gemm_{gemm}": normal(1, channels),
            }
            synthesis |= {
                f"Mul_{mul}": normal(1, 1, 1, 1),
                f"Conv_{conv}": normal(4, channels, 1, 1),
            }
            synthesis |= {f"Conv_{conv - 1}": normal(channels, 1, 1, 3, 3)}
            synthesis |= {
                f"Add_{conv + 19}": normal(1, 1, size, size),
                f"Add_{conv + 20}": normal(1, 4, 1, 1),
            }
        synthesis |= {
            f"Gemm_{52 + n}/WithoutBiases": normal(4, 512),
            f"Gemm_{52 + n}": normal(1, 4),
        }
    synthesis |= {"Gemm_743/WithoutBiases": normal(4, 512), "Gemm_743": normal(1, 4)}
    synthesis |= {
        "Mul_751": normal(1, 1, 1, 1),
        "Conv_753": normal(12, 4, 1, 1),
        "Add_754": normal(1, 12, 1, 1),
    }
    members = {}
    for stem, constants in (("MappingNetwork", mapping), ("SynthesisNetwork", synthesis)):
        members[f"random_face/data/{stem}.xml"], members[f"random_face/data/{stem}.bin"] = (
            build_graph(constants)
        )
    return members


def test_conversion_folds_gains_standardizes_noise_and_keeps_what_the_graph_adds() -> None:
    members = toy_members()
    tensors = convert(members)
    graph = read_constants(
        members["random_face/data/SynthesisNetwork.xml"],
        members["random_face/data/SynthesisNetwork.bin"],
        source="g",
    )
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values())
    assert tensors["mapping.w_avg"].shape == (512,)
    for i in range(1, SYNTHESIS_LAYERS + 1):
        noise = tensors[f"synthesis.layer{i}.noise_const"]
        assert noise.mean().abs() < 1e-6
        assert (noise.std(correction=0) - 1).abs() < 1e-6
        assert (f"synthesis.layer{i}.up_affine.weight" in tensors) == (i % 2 == 0)
        assert (f"synthesis.layer{i}.depthwise.weight" in tensors) == (i > 1)
    first = "synthesis.layer1"
    added = tensors[f"{first}.noise_const"] * tensors[f"{first}.noise_strength"]
    added = added + tensors[f"{first}.bias"][:, None, None]
    np.testing.assert_allclose(added, (graph["Add_40"] + graph["Add_41"])[0], atol=1e-6)
    gain = graph["Mul_118"].item()
    np.testing.assert_allclose(
        tensors["synthesis.layer3.affine.weight"], graph["Gemm_110/WithoutBiases"] * gain, rtol=1e-6
    )
    np.testing.assert_allclose(
        tensors["synthesis.layer3.affine.bias"], graph["Gemm_110"][0] * gain, rtol=1e-6
    )


def test_a_graph_without_an_operation_that_is_needed_is_refused() -> None:
    members = toy_members()
    path = "random_face/data/SynthesisNetwork.xml"
    members[path] = members[path].replace(b'name="Conv_753"', b'name="Conv_7530"')
    with pytest.raises(ModelFileError, match=re.escape("the graph has no operation 'Conv_753'")):
        convert(members)


def test_the_mean_style_is_the_same_where_sums_are_made_in_another_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return x.flip(1) @ weight.flip(1).T + bias

    members = toy_members()
    style = convert(members)["mapping.w_avg"]
    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    assert torch.equal(convert(members)["mapping.w_avg"], style)


# --- the real thing
# -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_converted_weights_make_the_graphs_own_pictures(tmp_path: Path) -> None:
    # Tolerance: float32 sums in another order, over 15 layers; images have a standard deviation
    # near 0.4.
    model = MODELS["ffhq-mobile"]
    wheel = download_archive(model, tmp_path)
    members = read_members(model, wheel, read_archive(model, wheel))
    tensors = convert(members)
    assert fingerprint(tensors, {}) == FFHQ_MOBILE
    network = MobileStyleGAN(tensors)
    with zipfile.ZipFile(wheel) as archive:
        graphs = [
            [archive.read(f"random_face/data/{stem}.{suffix}") for suffix in ("xml", "bin")]
            for stem in ("MappingNetwork", "SynthesisNetwork")
        ]
    with torch.no_grad():
        for seed in range(3):
            z = torch.from_numpy(np.random.RandomState(seed).randn(1, 512)).float()
            w = evaluate(*graphs[0], z)
            assert torch.allclose(network.mapping(z), w, atol=1e-5)
            noise = [network.noise_const(i) for i in range(1, SYNTHESIS_LAYERS + 1)]
            x, rgb = network.run(
                network.start(), None, [w] * network.num_ws, noise, 1, SYNTHESIS_LAYERS + 1
            )
            assert torch.allclose(network.finish(x, rgb, w), evaluate(*graphs[1], w), atol=1e-4)
