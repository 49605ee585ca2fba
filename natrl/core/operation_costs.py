"""What operations cost: as the papers' tables count one, and as networks count it."""

from __future__ import annotations

from natrl.core.operations import Cost, Operation, operation, RECORDS, Stages, stages

__all__ = ["network_operation_cost", "operation_cost", "stages_cost"]


def _check_geometry(**sizes: int) -> None:
    for label, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{label} must be a whole number of at least 1, got {value!r}")


def operation_cost(
    op: str | Operation, *, channels: int = 128, height: int = 32, width: int = 32, stride: int = 1
) -> Cost:
    """Cost of one operation as in the papers' tables: convolution weights only, the work of poolings and skips counted.

    `channels` in and out; `height` and `width` of the input in pixels. A pooling counts kernel² and a skip 1 per output
    value; null counts nothing. ValueError on an unknown operation or a size below 1.
    (What a network counts is `network_operation_cost`: batch-norm parameters too, poolings and skips free.)
    """
    op = op if isinstance(op, Operation) else operation(op)
    _check_geometry(channels=channels, height=height, width=width, stride=stride)
    cost = _convolution_cost(op.name, channels, height, width, stride, norm=False)
    values = channels * -(-height // stride) * -(-width // stride)
    if op.is_pooling:
        return Cost(0, op.kernel**2 * values)
    return Cost(0, values) if op.type == "skip_connect" and stride == 1 else cost


def network_operation_cost(
    name: str, channels: int, height: int, width: int, stride: int = 1, out_channels: int | None = None
) -> Cost:
    """What an operation adds to its network: convolutions and affine batch-norms; MAdds of convolutions only."""
    return _convolution_cost(name, channels, height, width, stride, norm=True, out_channels=out_channels)


def _convolution_cost(
    name: str, channels: int, height: int, width: int, stride: int, *, norm: bool, out_channels: int | None = None
) -> Cost:
    out_channels = out_channels or channels
    if (own := RECORDS[name].cost) is not None:
        return own(channels, out_channels, height, width, stride)
    parts = stages(name, channels, stride, out_channels)
    return stages_cost(parts, height, width, norm=norm, parallel=name == "skip_connect")


def stages_cost(parts: Stages, height: int, width: int, *, norm: bool = True, parallel: bool = False) -> Cost:
    """Cost of stages on images of that size; `parallel`: the convolutions of a stage run side by side."""
    params = madds = 0
    for stage in parts:
        out_h, out_w = height, width
        for conv in stage:
            out_h = -(-height // conv.stride[0]) if parallel else -(-out_h // conv.stride[0])
            out_w = -(-width // conv.stride[1]) if parallel else -(-out_w // conv.stride[1])
            params += conv.weights
            madds += conv.weights * out_h * out_w
        height, width = out_h, out_w
        outputs = sum(conv.out_channels for conv in stage) if parallel else stage[-1].out_channels
        params += 2 * outputs if norm else 0
    return Cost(params, madds)
