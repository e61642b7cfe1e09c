"""Export of checkpoints as ONNX graphs.

Batch normalization is folded into the convolutions first, and initializers have the names of the folded network's
parameters. So the OpenCV engine runs the graphs and the torch engine reads its weights from the same files.
"""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxscript.optimizer
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from autocrop.datasets import TERMS
from autocrop.models import CroppingModel
from autocrop.models.batch_norm import fold_batch_norm
from autocrop.models.checkpoint import load_checkpoint, network_from_checkpoint
from autocrop.weights import MANIFEST, PARTS, ModelCard, WeightsFile, write_manifest

OPSET = 18
"""ONNX operator set that torch's exporter writes without conversion."""
EXAMPLE_SIZE, OTHER_SIZE = (256, 384), (320, 480)
"""Two heights and widths of photos. Features whose shapes differ between them have dynamic shapes."""
MIN_HALF_PRECISION_SIZE = 1024
"""Minimum number of values in a tensor that is stored in half precision and cast to float32 when the graph is loaded.
Smaller tensors would hardly reduce the size of the file."""


class _Encoder(nn.Module):
    def __init__(self, network: CroppingModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.network.encode(image)


class _Head(nn.Module):
    def __init__(self, network: CroppingModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, boxes: Tensor, *features: Tensor) -> Tensor:
        return self.network.score(features, boxes)


@dataclass(frozen=True)
class _Part:
    """A module with example inputs, as :func:`torch.onnx.export` takes them."""

    module: nn.Module
    inputs: tuple[Tensor, ...]
    input_names: Sequence[str]
    output_names: Sequence[str]
    dynamic_shapes: dict[str, Any]


def export_checkpoint(checkpoint: Path, folder: Path, name: str | None = None) -> list[Path]:
    """Export a checkpoint to a folder that ``--weights`` accepts, with a manifest.

    Args:
        checkpoint: ``best.pt`` or ``last.pt`` of a run.
        folder: output folder. It is created if it does not exist.
        name: name of the exported model. Default: the name of the network.

    Returns:
        Paths of the files written.

    Raises:
        AutocropError: the checkpoint is missing or damaged.
    """
    state = load_checkpoint(checkpoint)
    network = network_from_checkpoint(checkpoint)
    name = name or network.NAME
    parts = PARTS if network.HAS_HEAD else PARTS[:1]
    paths = {part: folder / f"{name}.{part}.onnx" for part in parts}
    export(network, paths)
    card = ModelCard(
        name=name,
        network=network.NAME,
        summary=f"{network.NAME.upper()} on {network.recipe.backbone}, trained for {state['epoch']} epochs.",
        files={part: WeightsFile.of(path) for part, path in paths.items()},
        data=TERMS.get(state["data"], state["data"] or "unknown"),
        recipe=dataclasses.asdict(network.recipe),
        metrics={key: round(value, 4) for key, value in state["metrics"].items()},
    )
    write_manifest(folder, [card])
    return [*paths.values(), folder / MANIFEST]


def export(network: CroppingModel, paths: Mapping[str, Path]) -> None:
    """Write a network as ONNX files for :class:`~autocrop.engines.opencv.OpenCVEngine`.

    The graphs accept any number of boxes. They accept photos of the size in the recipe or, if it has none, of any size
    that is a multiple of 32.

    Args:
        network: network in any mode.
        paths: path of the ``encoder`` and, if the network has an exported head, of the ``head``.
    """
    network = fold_batch_norm(network).cpu().eval()
    _write(_encoder_part(network), paths["encoder"])
    if "head" in paths:
        _write(_head_part(network), paths["head"])


def _example_image(network: CroppingModel, size: tuple[int, int]) -> Tensor:
    side = network.recipe.side
    return torch.zeros(1, 3, side, side) if side else torch.zeros(1, 3, *size)


def _encoder_part(network: CroppingModel) -> _Part:
    dimension = torch.export.Dim
    shape = {2: 32 * dimension("rows", min=4, max=64), 3: 32 * dimension("columns", min=4, max=64)}
    image = _example_image(network, EXAMPLE_SIZE)
    dynamic_shapes = {"image": {} if network.recipe.side else shape}
    return _Part(_Encoder(network), (image,), ["image"], network.FEATURES, dynamic_shapes)


def _head_part(network: CroppingModel) -> _Part:
    dimension = torch.export.Dim
    with torch.no_grad():
        features = network.encode(_example_image(network, EXAMPLE_SIZE))
        others = network.encode(_example_image(network, OTHER_SIZE))
    shape = {2: dimension("height", min=2, max=4096), 3: dimension("width", min=2, max=4096)}
    # The shapes of some features depend on the photo's size, those of others do not.
    shapes = tuple(shape if one.shape != other.shape else {} for one, other in zip(features, others, strict=True))
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.1, 0.2, 0.8, 0.9], [0.2, 0.1, 0.7, 0.6]])
    dynamic_shapes = {"boxes": {0: dimension("boxes", min=1, max=1_000_000)}, "features": shapes}
    return _Part(_Head(network), (boxes, *features), ["boxes", *network.FEATURES], ["scores"], dynamic_shapes)


def _write(part: _Part, path: Path) -> None:
    model = _to_onnx(part)
    _store_halves(model.graph)
    _remove_metadata(model)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def _to_onnx(part: _Part) -> onnx.ModelProto:
    with _quiet("torch.onnx", "onnxscript", "onnx_ir"):
        program = torch.onnx.export(
            part.module.eval(),
            part.inputs,
            input_names=list(part.input_names),
            output_names=list(part.output_names),
            dynamic_shapes=part.dynamic_shapes,
            opset_version=OPSET,
            dynamo=True,
            optimize=False,  # torch's own optimizer would rename tensors
            verbose=False,
        )
        assert program is not None  # guaranteed by dynamo=True
        initializers = program.model_proto.graph.initializer
        weights = {tensor.name: tensor for tensor in initializers if tensor.name.startswith("network.")}
        model = onnxscript.optimizer.optimize(program.model_proto)
    # The optimizer merges tensors with equal values, which untrained networks have. The torch engine needs all of them.
    for name in sorted(weights.keys() - {tensor.name for tensor in model.graph.initializer}):
        model.graph.initializer.append(weights[name])
    return model


@contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """Silence the exporter's warnings and log messages, which are meant for its own developers."""
    levels = {name: logging.getLogger(name).level for name in loggers}
    try:
        for name in loggers:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _store_halves(graph: onnx.GraphProto) -> None:
    """Store large float32 initializers as float16. A Cast node turns each into a float32 tensor with a new name."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= MIN_HALF_PRECISION_SIZE:
            widened = f"{tensor.name}.float"
            for node in graph.node:
                for position, name in enumerate(node.input):
                    if name == tensor.name:
                        node.input[position] = widened
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))
            casts.append(helper.make_node("Cast", [tensor.name], [widened], to=onnx.TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)


def _remove_metadata(model: onnx.ModelProto) -> None:
    """Remove source locations and the like, which would make the file's digest depend on where the code is."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
