"""Checkpoint → ONNX graphs that OpenCV runs, and back.

Batch normalization is folded into the convolutions first, and the initializers keep the names of the folded
network's parameters. So the graphs are also the weights file of the torch engine, and the two cannot differ.
"""

from __future__ import annotations

import dataclasses
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
HALF_FROM = 1024
"""Tensors of at least this many values are stored in half precision and widened when the graph is loaded."""


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


def export(network: CroppingModel, paths: Mapping[str, Path]) -> None:
    """Write *network* as ONNX files for :class:`~autocrop.engines.opencv.OpenCVEngine`.

    The graphs take any input size that is a multiple of 32, or the one that the recipe has, and any number of boxes.

    Args:
        network: in any mode.
        paths: of the ``encoder`` and, unless the engines do its work themselves, of the ``head``.
    """
    network = fold_batch_norm(network).cpu().eval()
    side = network.recipe.side
    image = torch.zeros(1, 3, side, side) if side else torch.zeros(1, 3, 256, 384)
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.1, 0.2, 0.8, 0.9], [0.2, 0.1, 0.7, 0.6]])
    with torch.no_grad():
        features = network.encode(image)
        larger = features if side else network.encode(torch.zeros(1, 3, 320, 480))
    size = torch.export.Dim
    strides = {} if side else {2: 32 * size("rows", min=4, max=64), 3: 32 * size("columns", min=4, max=64)}
    _write(_Encoder(network), (image,), ["image"], network.FEATURES, {"image": strides}, paths["encoder"])
    if "head" not in paths:
        return
    plane = {2: size("height", min=2, max=4096), 3: size("width", min=2, max=4096)}
    # Some features have the photo's size, in some units, others always the same.
    planes = tuple(plane if one.shape != other.shape else {} for one, other in zip(features, larger, strict=True))
    shapes = {"boxes": {0: size("boxes", min=1, max=1_000_000)}, "features": planes}
    _write(_Head(network), (boxes, *features), ["boxes", *network.FEATURES], ("scores",), shapes, paths["head"])


def export_checkpoint(checkpoint: Path, folder: Path, name: str | None = None) -> list[Path]:
    """Export a checkpoint with a manifest of one row, as ``--weights FOLDER`` reads it.

    Args:
        checkpoint: ``best.pt`` or ``last.pt`` of a run.
        folder: is made if it does not exist.
        name: of the exported model; by default that of the network.

    Returns:
        The files written.

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


def _write(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    names: list[str],
    outputs: Sequence[str],
    shapes: dict[str, Any],
    path: Path,
) -> None:
    with _quiet("torch.onnx", "onnxscript", "onnx_ir"):
        program = torch.onnx.export(
            module.eval(),
            inputs,
            input_names=names,
            output_names=list(outputs),
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            optimize=False,  # torch's own optimizer would rename tensors
            verbose=False,
        )
        assert program is not None  # that is what dynamo=True returns
        initial = program.model_proto.graph.initializer
        named = {tensor.name: tensor for tensor in initial if tensor.name.startswith("network.")}
        graph = onnxscript.optimizer.optimize(program.model_proto)
    # Of equal tensors, as an untrained network has them, the optimizer keeps one; the torch engine wants all.
    for name in sorted(named.keys() - {tensor.name for tensor in graph.graph.initializer}):
        graph.graph.initializer.append(named[name])
    _store_halves(graph.graph)
    # Names of source lines and the like: they would make the digest depend on where the code lay.
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.metadata_props[:], graph.graph.metadata_props[:], graph.graph.value_info[:]
    onnx.checker.check_model(graph)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, str(path))


@contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """Without the notes that exporting makes for its own developers."""
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
    """Store large float32 initializers as float16, each followed by a Cast under a new name."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= HALF_FROM:
            wide = f"{tensor.name}.float"
            for node in graph.node:
                for position, name in enumerate(node.input):
                    if name == tensor.name:
                        node.input[position] = wide
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))
            casts.append(helper.make_node("Cast", [tensor.name], [wide], to=onnx.TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
