"""Evaluates an OpenVINO IR graph operation by operation: slow, literal, and independent of
`invert`.

Covers the operations that the two graphs of the wheel random-face use, as the operation set's
specification defines them, in float32.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

DTYPES = {"f32": np.float32, "i64": np.int64, "i32": np.int32}


def evaluate(xml: bytes, blob: bytes, argument: Tensor) -> Tensor:
    """The graph's only result for its only parameter."""
    root = ElementTree.fromstring(xml)
    layers = {layer.attrib["id"]: layer for layer in root.iterfind("layers/layer")}
    inputs: dict[str, dict[int, tuple[str, int]]] = {}
    for edge in root.iterfind("edges/edge"):
        source = (edge.attrib["from-layer"], int(edge.attrib["from-port"]))
        inputs.setdefault(edge.attrib["to-layer"], {})[int(edge.attrib["to-port"])] = source
    values: dict[tuple[str, int], Tensor] = {}

    def value(source: tuple[str, int]) -> Tensor:
        if source not in values:
            layer = layers[source[0]]
            operands = [value(origin) for _, origin in sorted(inputs.get(source[0], {}).items())]
            data = layer.find("data")
            attributes = {} if data is None else dict(data.attrib)
            results = run(layer.attrib["type"], operands, attributes, blob, argument)
            ports = [int(port.attrib["id"]) for port in layer.iterfind("output/port")]
            values.update(
                {(source[0], port): result for port, result in zip(ports, results, strict=True)}
            )
        return values[source]

    (result,) = (key for key, layer in layers.items() if layer.attrib["type"] == "Result")
    return value(inputs[result][0])


def run(
    kind: str, x: list[Tensor], a: dict[str, str], blob: bytes, argument: Tensor
) -> list[Tensor]:
    def numbers(name: str) -> list[int]:
        return [int(n) for n in a[name].split(",") if n.strip()]

    def stride_and_padding() -> dict[str, list[int]]:
        assert a["pads_begin"] == a["pads_end"]
        assert a["auto_pad"] == "explicit"
        return {"stride": numbers("strides"), "padding": numbers("pads_begin")}

    match kind:
        case "Parameter":
            return [argument]
        case "Const":
            dtype = np.dtype(DTYPES[a["element_type"]])
            count = int(a["size"]) // dtype.itemsize
            array = np.frombuffer(blob, dtype, count, int(a["offset"])).reshape(numbers("shape"))
            return [torch.from_numpy(array.copy())]
        case "Add":
            return [x[0] + x[1]]
        case "Multiply":
            return [x[0] * x[1]]
        case "Power":
            return [x[0] ** x[1]]
        case "ReduceMean":
            return [x[0].mean(dim=x[1].tolist(), keepdim=a["keep_dims"] == "true")]
        case "MatMul":
            assert (a["transpose_a"], a["transpose_b"]) == ("false", "true")
            return [x[0] @ x[1].T]
        case "PReLU":
            return [torch.where(x[0] >= 0, x[0], x[0] * x[1])]
        case "ShapeOf":
            return [torch.tensor(x[0].shape)]
        case "Gather":
            return [x[0][x[1]]]
        case "Unsqueeze":
            return [x[0].unsqueeze(int(x[1].item()))]
        case "Squeeze":
            return [x[0].squeeze(int(x[1].item()))]
        case "Concat":
            return [torch.cat([part.reshape(-1) for part in x])]
        case "Reshape":
            return [x[0].reshape(x[1].tolist())]
        case "Broadcast":
            return [
                torch.broadcast_to(x[0], torch.broadcast_shapes(x[0].shape, tuple(x[1].tolist())))
            ]
        case "Tile":
            return [x[0].repeat(x[1].tolist())]
        case "VariadicSplit":
            return list(x[0].split(x[2].tolist(), dim=int(x[1].item())))
        case "Convolution":
            return [F.conv2d(x[0], x[1], **stride_and_padding())]
        case "GroupConvolution":
            return [
                F.conv2d(x[0], x[1].flatten(0, 1), groups=x[1].shape[0], **stride_and_padding())
            ]
        case "GroupConvolutionBackpropData":
            return [
                F.conv_transpose2d(
                    x[0], x[1].flatten(0, 1), groups=x[1].shape[0], **stride_and_padding()
                )
            ]
    raise AssertionError(f"no such operation here: {kind}")
