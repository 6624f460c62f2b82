"""The tangent kernel of a PyTorch model at its own parameters, in blocks of bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from ntkspec.errors import NtkspecError
from ntkspec.parameters import number, one_of, shown, size_of

try:
    import torch
    from torch import nn
    from torch.func import functional_call, jacrev, vmap
except ImportError:
    raise ImportError("ntkspec.torch needs PyTorch: pip install 'ntkspec[torch]'") from None

__all__ = ["Outputs", "empirical_ntk", "outputs_of", "rows_of"]

Outputs = Literal["mean", "each", "full"]
Tensors: TypeAlias = dict[str, Any]

#: Numbers held for one that is kept: of a layer's values and derivatives, and of a derivative.
HELD = 4
#: Rows on which the outputs of a batch are compared with those of single rows.
COMPARED = 16
#: Differences of sums in another order, relative to the largest entry.
ROUNDING = {torch.float32: 1e-3, torch.float64: 1e-9}


def empirical_ntk(
    model: nn.Module,
    X: Any,
    Y: Any = None,
    *,
    outputs: Outputs = "mean",
    memory: float = 256e6,
) -> torch.Tensor:
    """Compute the matrix <df(x)/dp, df(y)/dp> over the trained parameters p of a model.

    Gradient descent of a loss with the gradient g in the outputs changes these by -lr K g, up to
    terms of order lr^2.

    Parameters
    ----------
    model : torch.nn.Module
        With parameters that are all float32 or all float64.  Those with ``requires_grad = False``
        and the buffers stay as they are.  Dropout and batch normalization must be in evaluation
        (``model.eval()``).
    X : (n, ...) tensor or array_like
        Inputs in rows, as the model takes them.
    Y : (m, ...) tensor or array_like, optional
        Other inputs; by default the same.
    outputs : {"mean", "each", "full"}
        For a model with several outputs: the mean of their matrices, the matrix of each, or all
        entries.  A model with one output has one matrix.
    memory : float
        Bytes that the blocks may take, besides one gradient of the model, three times the size of
        its largest weight, and the result with a copy of it in float64.

    Returns
    -------
    (n, m) tensor; (outputs, n, m) for "each"; (n outputs, m outputs) for "full"
        Of the model's precision and on its device; sums over parameters are in float64.  Rows and
        columns of "full" are in the order of ``model(X).flatten()``.

    Raises
    ------
    NtkspecError
        When outputs of a row depend on other rows or on chance, nothing is trained, the precision
        is another one, or a row's derivative by one parameter does not fit into the memory.

    Notes
    -----
    The derivatives are those of `torch.func`, taken row by row.  For the weight of an `nn.Linear`
    they are sums of outer products of the layer's inputs a and the derivatives d by its outputs,
    and the kernel is a sum of <d, d'> <a, a'>: only a and d are held.  Other parameters are taken
    in groups, and rows in blocks; pairs of blocks that do not fit together are computed again, so
    that the time rises as the memory falls.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(2, 1)
    >>> empirical_ntk(model, [[1.0, 2.0], [3.0, 0.0]])
    tensor([[ 6.,  4.],
            [ 4., 10.]])
    """
    one_of(outputs, "outputs", get_args(Outputs))
    memory = number(memory, "memory", 1e5, math.inf)
    dtype, device = _kind(model)
    x = rows_of(X, "X", dtype, device)
    y = None if Y is None else rows_of(Y, "Y", dtype, device)
    _check_rows(model, x)
    derivatives = _Derivatives(model, x)
    shape = derivatives.outputs
    pairs = [(k, k) for k in range(shape)]
    if outputs == "full":
        pairs = [(k, j) for k in range(shape) for j in range(shape)]
    sums = torch.zeros(
        (1 if outputs == "mean" else len(pairs), len(x), len(x if y is None else y)),
        dtype=torch.float64,
    )
    for group, size in derivatives.groups(len(x) if y is None else len(x) + len(y), memory):
        for first, second in _blocks(len(x), sums.shape[2], size, y is None):
            one = derivatives.of(group, x[first])
            two = one if y is None and first == second else None
            two = derivatives.of(group, (x if y is None else y)[second]) if two is None else two
            for place, (k, j) in enumerate(pairs):
                product = _product(one, two, k, j).to("cpu", torch.float64)
                sums[0 if outputs == "mean" else place, first, second] += product
                if y is None and first != second:
                    mirror = place if outputs != "full" else j * shape + k
                    sums[0 if outputs == "mean" else mirror, second, first] += product.T
    if outputs == "mean":
        found = sums[0] / shape
    elif outputs == "each":
        found = sums
    else:
        grid = sums.reshape(shape, shape, *sums.shape[1:])
        found = grid.permute(2, 0, 3, 1).reshape(sums.shape[1] * shape, -1)
    if y is None:
        found = 0.5 * (found + found.mT)
    return found.to(device=device, dtype=dtype)


def rows_of(values: Any, name: str, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Inputs in rows as a tensor; whole numbers of tensors and arrays stay whole."""
    try:
        found = values.detach() if isinstance(values, torch.Tensor) else np.asarray(values)
        if not isinstance(values, (torch.Tensor, np.ndarray)):
            found = found.astype(np.float64)
        found = torch.as_tensor(found)
    except (TypeError, ValueError):
        raise NtkspecError(f"{name} = {shown(values)} is not allowed; give a tensor") from None
    if found.ndim == 0 or 0 in found.shape:
        raise NtkspecError(
            f"{name} of shape {tuple(found.shape)} is not allowed; give at least one row"
        )
    if found.is_complex() or found.dtype == torch.bool:
        raise NtkspecError(f"{name} has dtype {found.dtype}; give real numbers")
    if not found.is_floating_point():
        return found.to(device)
    if not bool(torch.isfinite(found).all()):
        raise NtkspecError(f"{name} has a number that is not finite, which is not allowed")
    return found.to(device=device, dtype=dtype)


def outputs_of(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """(n, outputs): what the model gives for rows, one after another in small batches."""
    with torch.no_grad():
        parts = [model(part).reshape(len(part), -1) for part in x.split(256)]
    return torch.cat(parts)


def _kind(model: nn.Module) -> tuple[torch.dtype, torch.device]:
    """Precision and device of a model's parameters."""
    if not isinstance(model, nn.Module):
        raise NtkspecError(f"model = {shown(model)} is not allowed; give a torch.nn.Module")
    kinds = {(p.dtype, p.device) for p in model.parameters()}
    if not any(p.requires_grad for p in model.parameters()):
        raise NtkspecError("no parameter of the model has requires_grad: its tangent kernel is 0")
    dtype, device = next(iter(kinds))
    if len(kinds) > 1 or dtype not in ROUNDING:
        names = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
        raise NtkspecError(
            f"the model's parameters are of {names}; use model.float() or model.double() on one "
            "device"
        )
    return dtype, device


def _check_rows(model: nn.Module, x: torch.Tensor) -> None:
    """Refuse a model whose output for a row depends on the other rows, or on chance."""
    for name, module in model.named_modules():
        kind = type(module).__name__
        if "BatchNorm" in kind and (module.training or module.running_mean is None):
            raise NtkspecError(
                f"{name or 'the model'} is a {kind} that takes the mean over the batch, with which "
                "no row has a derivative of its own; use model.eval(), with running statistics"
            )
        if "Dropout" in kind and module.training and getattr(module, "p", 1.0):
            raise NtkspecError(f"{name or 'the model'} is a {kind} in training; use model.eval()")
    some = x[:COMPARED]
    with torch.no_grad():
        try:
            together = model(some)
            alone = [model(row[None]).reshape(-1) for row in some]
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise NtkspecError(
                f"the model does not take inputs of shape {tuple(some.shape)}: {_line(error)}"
            ) from None
    if not isinstance(together, torch.Tensor):
        raise NtkspecError(f"the model returns a {type(together).__name__}; it must be a tensor")
    apart = torch.stack(alone)
    if together.numel() != apart.numel():
        raise NtkspecError(
            f"the model returns shape {tuple(together.shape)} for {len(some)} rows and "
            f"{apart.shape[1]} numbers for one; it must return outputs for each row"
        )
    if not bool(torch.isfinite(apart).all()):
        raise NtkspecError("an output of the model is not finite")
    scale = float(apart.abs().max())
    if float((together.reshape(apart.shape) - apart).abs().max()) > ROUNDING[apart.dtype] * scale:
        raise NtkspecError("outputs of the model for a row depend on the other rows or on chance")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


@dataclass(frozen=True)
class _Group:
    """Parameters whose derivatives are held together: those of layers, or others by name."""

    layers: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Held:
    """Derivatives of some rows.

    `layers` has, for each layer, the inputs (n, calls, in) or None where the weight is not
    trained, the derivatives by the outputs (n, outputs, calls, out), and whether there is a
    trained bias; `others` has (n, outputs, p) for each other parameter.
    """

    layers: tuple[tuple[torch.Tensor | None, torch.Tensor, bool], ...]
    others: tuple[torch.Tensor, ...]


class _Derivatives:
    """Derivatives of a model's outputs, row by row, by its trained parameters."""

    def __init__(self, model: nn.Module, x: torch.Tensor) -> None:
        self.model = model
        every = dict(model.named_parameters())
        self.values: Tensors = {name: p.detach() for name, p in every.items()}
        self.values |= {name: b.detach() for name, b in model.named_buffers()}
        self.trained = [name for name, p in every.items() if p.requires_grad]
        names = {id(p): name for name, p in every.items()}
        uses: dict[str, int] = {}
        for _, p in model.named_parameters(remove_duplicate=False):
            uses[names[id(p)]] = uses.get(names[id(p)], 0) + 1
        #: Weight and bias of each layer that alone uses them, None for what is not trained.
        self.layers: dict[str, tuple[str | None, str | None]] = {}
        for name, module in model.named_modules():
            if type(module) is not nn.Linear:
                continue
            own = [names.get(id(p)) for p in (module.weight, module.bias)]
            weight, bias = (
                one if one in self.trained and uses[str(one)] == 1 else None for one in own
            )
            if weight or bias:
                self.layers[name] = (weight, bias)
        self.outputs = self.calls = self.activations = 0
        self.shapes: dict[str, list[torch.Size]] = {}
        for row in (x[0], x[-1]):
            self._look(row)
        taken = {one for pair in self.layers.values() for one in pair if one}
        self.others = [name for name in self.trained if name not in taken]

    def _look(self, row: torch.Tensor) -> None:
        """Keep the layers whose parameters act through calls of the layer alone."""
        values = {
            name: value.detach().requires_grad_(name in self.trained)
            for name, value in self.values.items()
        }
        seen: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        sizes: list[int] = []

        def count(module: nn.Module, arguments: Any, output: Any) -> None:
            sizes.append(output.numel() if isinstance(output, torch.Tensor) else 0)

        def keep(name: str, given: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
            seen.setdefault(name, []).append((given, output))
            return output

        with ExitStack() as stack, torch.enable_grad():
            for module in self.model.modules():
                stack.callback(module.register_forward_hook(count).remove)
            stack.enter_context(self._hooked(keep))
            found = functional_call(self.model, values, (row[None],)).reshape(-1)
            self.outputs, self.activations = len(found), sum(sizes)
            # Weights that are no rule's, so that no contributions cancel.
            total = (found * torch.cos(torch.arange(1, 1 + len(found), device=row.device))).sum()
            leaves = [values[name] for name in self.trained]
            outputs = [output for calls in seen.values() for _, output in calls]
            if not total.requires_grad:
                raise NtkspecError("the outputs do not depend on the trained parameters")
            slopes = torch.autograd.grad(
                total, [*leaves, *outputs], allow_unused=True, materialize_grads=True
            )
        by_name = dict(zip(self.trained, slopes, strict=False))
        rest = iter(slopes[len(leaves) :])
        self.shapes = {name: [o.shape for _, o in calls] for name, calls in seen.items()}
        self.calls = 0
        kept = {}
        for name, calls in seen.items():
            given = torch.cat([_flat(a) for a, _ in calls])
            slope = torch.cat([_flat(next(rest)) for _ in calls])
            self.calls = max(self.calls, len(given))
            weight, bias = self.layers[name]
            if weight and not _alike(by_name[weight], slope.T @ given):
                weight = None
            if bias and not _alike(by_name[bias], slope.sum(0)):
                bias = None
            if weight or bias:
                kept[name] = (weight, bias)
        self.layers = kept

    @contextmanager
    def _hooked(self, act: Any) -> Iterator[None]:
        """Call act(name, input, output) in place of each layer's output."""
        with ExitStack() as stack:
            for name in self.layers:

                def hook(
                    module: nn.Module, given: Any, words: Any, output: Any, name: str = name
                ) -> Any:
                    return act(name, given[0] if given else words["input"], output)

                layer = self.model.get_submodule(name)
                stack.callback(layer.register_forward_hook(hook, with_kwargs=True).remove)
            yield

    def groups(self, rows: int, memory: float) -> Iterator[tuple[_Group, int]]:
        """Groups of parameters, and how many rows of their derivatives are held at once."""
        size = torch.finfo(self.values[self.trained[0]].dtype).bits // 8
        base = HELD * size * self.activations * (1 + self.outputs)
        if self.layers:
            most = memory / (2 * base)
            # Matrices of all calls of all rows with each other, several at a time.
            most = min(most, math.sqrt(memory / (2 * 4 * size)) / max(self.calls, 1))
            yield _Group(tuple(self.layers), ()), self._checked(most, "the layers", base)
        waiting: list[str] = []
        held = base
        for name in [*self.others, None]:
            more = 0 if name is None else HELD * size * self.outputs * self.values[name].numel()
            if waiting and (name is None or rows * (held + more) > memory):
                most = memory / (2 * held) if rows * held > memory else rows
                yield _Group((), tuple(waiting)), self._checked(most, ", ".join(waiting), held)
                waiting, held = [], base
            if name is not None:
                waiting.append(name)
                held += more

    @staticmethod
    def _checked(most: float, what: str, each: int) -> int:
        if most < 1.0:
            raise NtkspecError(
                f"derivatives of two rows by {what} take {size_of(2 * each)}; give a larger memory="
            )
        return int(most)

    def of(self, group: _Group, x: torch.Tensor) -> _Held:
        """Derivatives of rows by the parameters of a group."""
        layers = {name: self.layers[name] for name in group.layers}
        probes = {
            name: [torch.zeros(s, dtype=self._dtype, device=x.device) for s in self.shapes[name]]
            for name in layers
        }
        others = {name: self.values[name] for name in group.names}

        def outputs(moved: Any, row: torch.Tensor) -> Any:
            inputs: dict[str, list[torch.Tensor]] = {name: [] for name in layers}

            def add(name: str, given: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
                if name not in layers:
                    return output
                calls = inputs[name]
                calls.append(given)
                return output + moved["probes"][name][len(calls) - 1]

            with self._hooked(add):
                values = {**self.values, **moved["others"]}
                found = functional_call(self.model, values, (row[None],))
            given = {
                name: torch.cat([_flat(one) for one in calls]) for name, calls in inputs.items()
            }
            return found.reshape(-1), given

        try:
            slopes, inputs = vmap(jacrev(outputs, has_aux=True), in_dims=(None, 0))(
                {"probes": probes, "others": others}, x
            )
        except RuntimeError as error:
            raise NtkspecError(
                f"torch.func takes no derivatives of this model row by row: {_line(error)}"
            ) from None
        held = []
        for name, (weight, bias) in layers.items():
            calls = [
                one.reshape(len(x), self.outputs, -1, one.shape[-1])
                for one in slopes["probes"][name]
            ]
            given = inputs[name].detach() if weight else None
            held.append((given, torch.cat(calls, dim=2).detach(), bias is not None))
        flat = [one.detach().reshape(len(x), self.outputs, -1) for one in slopes["others"].values()]
        return _Held(tuple(held), tuple(flat))

    @property
    def _dtype(self) -> torch.dtype:
        found: torch.dtype = self.values[self.trained[0]].dtype
        return found


def _flat(values: torch.Tensor) -> torch.Tensor:
    return values.reshape(-1, values.shape[-1])


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    error = float((one - other).detach().abs().max())
    return error <= ROUNDING[one.dtype] * float(other.detach().abs().max())


def _blocks(n: int, m: int, size: int, same: bool) -> Iterator[tuple[slice, slice]]:
    """Pairs of blocks of rows; for the same rows each pair once."""
    for i in range(0, n, size):
        for j in range(i if same else 0, m, size):
            yield slice(i, min(i + size, n)), slice(j, min(j + size, m))


def _product(one: _Held, two: _Held, k: int, j: int) -> torch.Tensor:
    """(n, m): derivatives of output k of some rows times those of output j of others."""
    total: Any = 0.0
    for (given, slope, bias), (other, turn, _) in zip(one.layers, two.layers, strict=True):
        n, m, calls = len(slope), len(turn), slope.shape[2]
        product = _flat(slope[:, k]) @ _flat(turn[:, j]).T
        if given is not None and other is not None:
            inner = _flat(given) @ _flat(other).T
            product *= inner + 1.0 if bias else inner
        total = total + product.reshape(n, calls, m, calls).sum((1, 3))
    for mine, yours in zip(one.others, two.others, strict=True):
        total = total + mine[:, k] @ yours[:, j].T
    return torch.as_tensor(total)
