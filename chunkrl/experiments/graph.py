"""The ONNX graph of what the NumPy player computes, recorded by letting it compute."""

import json
from typing import Any

import numpy as np

from chunkrl.experiments.player import Player

OPSET, IR = 17, 8  # of 2022, so that older runtimes and converters read the file too


class Graph:
    """Nodes in the order in which they were computed, and each constant once."""

    def __init__(self, helper: Any):
        self.helper, self.nodes, self.constants = helper, [], {}

    def add(self, op: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """A node: what it gives, or the list of that.  Numbers among its inputs are float32."""
        names = [x.name if isinstance(x, Traced) else self.constant(x) for x in inputs]
        given = [f"{op}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(self.helper.make_node(op, names, given, **attributes))
        return [Traced(self, name) for name in given] if outputs > 1 else Traced(self, given[0])

    def constant(self, x: Any, dtype: type = np.float32) -> str:
        array = np.array(x, dtype)
        key = array.dtype, array.shape, array.tobytes()
        return self.constants.setdefault(key, (f"constant_{len(self.constants)}", array))[0]

    def whole(self, *x: int) -> "Traced":
        """A vector of whole numbers, such as axes."""
        return Traced(self, self.constant(x, np.int64))


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array: what NumPy is asked to do with it becomes a node of the graph."""

    def __init__(self, graph: Graph, name: str):
        self.graph, self.name = graph, name

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any) -> Any:
        return self.graph.add(UFUNCS[ufunc], *inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return FUNCTIONS[function](self.graph, *args, **options)


UFUNCS = {
    np.add: "Add", np.subtract: "Sub", np.multiply: "Mul", np.divide: "Div", np.matmul: "MatMul",
    np.maximum: "Max", np.minimum: "Min", np.exp: "Exp", np.sqrt: "Sqrt", np.tanh: "Tanh",
    np.negative: "Neg",
}  # fmt: skip
FUNCTIONS = {
    np.expand_dims: lambda to, x, axis: to.add("Unsqueeze", x, to.whole(axis)),
    np.reshape: lambda to, x, shape: to.add("Reshape", x, to.whole(*shape)),
    np.split: lambda to, x, n, axis: to.add("Split", x, outputs=n, axis=axis),
    np.clip: lambda to, x, low, high: to.add("Clip", x, low, high),
    np.mean: lambda to, x, axis, keepdims: to.add("ReduceMean", x, axes=[axis], keepdims=keepdims),
    np.argmax: lambda to, x, axis, keepdims: to.add("ArgMax", x, axis=axis, keepdims=keepdims),
    # At [B, 1, 1] of [B, N, D], along axis 1.
    np.take_along_axis: lambda to, x, index, axis: to.add("GatherND", x, index, batch_dims=axis),
}


def model(onnx: Any, player: Player) -> bytes:
    """`player.act` as an ONNX file: obs [B, O], noise [B, N, D] -> chunk [B, h, A].

    `onnx` is the package.  The text of agent.json is kept in the file's metadata, as "agent".
    """
    about, graph = player.about, Graph(onnx.helper)
    inputs = {"obs": [about["obs_dim"]]} | ({"noise": about["noise"]} if about["noise"] else {})
    outputs = {"chunk": [about["chunk"], about["action_dim"]]}
    player.act(*(Traced(graph, name) for name in inputs))
    graph.nodes[-1].output[0] = "chunk"

    def described(shapes: dict[str, list[int]]) -> list:
        describe, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
        return [describe(name, kind, ["B", *shape]) for name, shape in shapes.items()]

    constants = [onnx.numpy_helper.from_array(x, name) for name, x in graph.constants.values()]
    whole = onnx.helper.make_graph(
        graph.nodes, "act", described(inputs), described(outputs), constants
    )
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    made = onnx.helper.make_model(whole, opset_imports=opsets, ir_version=IR)
    onnx.helper.set_model_props(made, {"agent": json.dumps(about)})
    onnx.checker.check_model(made, full_check=True)
    return made.SerializeToString()
