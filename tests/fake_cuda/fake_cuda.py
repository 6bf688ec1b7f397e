"""A CUDA device that is none: tensors that say ``cuda:0``, refuse to meet those of the CPU, and compute on the CPU.

Unlike torch's FakeTensorMode values are real: losses, clusters and rankings come out and can be compared with the
CPU's. What is held to, as a GPU would:

- tensors of two devices do not meet (but numbers, i.e. 0-dimensional CPU tensors, CPU indices, and copies);
- ``numpy()`` of a CUDA tensor is a TypeError;
- fused optimizers demand equal strides of weights, gradients and state (ATen/native/ForeachUtils.h);
- waits of the host, copies, and convolutions whose input has not the layout of their weights are counted (``Log``).

What is not: streams, kernels, memory, NCCL, CUDA's own lists of autocast. One thread only.

``TORCH`` is the version that this was read in. When torch moves, look at: the arguments of the fused optimizers
(``FUSED``), ``check_fast_path_restrictions``, the operations that wait (``SYNCING``), ``Optimizer``'s and
``GradScaler``'s questions to ``torch.cuda`` (``_patches``), and whether ``Tensor._make_subclass`` still dispatches.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

TORCH = "2.14"
GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
OURS = "/pipeline/"

aten = torch.ops.aten
SYNCING = {
    aten._local_scalar_dense.default: "item",
    aten.is_nonzero.default: "bool",
    aten.nonzero.default: "nonzero",
    aten.masked_select.default: "masked_select",
    aten.bincount.default: "bincount",
    aten._unique2.default: "unique",
    aten.unique_dim.default: "unique",
    aten.unique_consecutive.default: "unique",
    aten.repeat_interleave.Tensor: "repeat_interleave",
    aten.equal.default: "equal",
}
INDEXING = {
    aten.index.Tensor,
    aten._unsafe_index.Tensor,
    aten.index_put_.default,
    aten.index_put.default,
    aten._index_put_impl_.default,
    aten._unsafe_index_put.default,
}
FUSED = {aten._fused_sgd_: 3, aten._fused_adam_: 4, aten._fused_adamw_: 4}
"""How many of their first arguments are lists that lie side by side: weights, gradients, state."""


class MixedDevicesError(RuntimeError):
    """Tensors of a GPU and of the CPU in one operation."""


class Log:
    """What was asked of the device, by what and by the innermost lines of the pipeline that asked.

    ``waits``: the host waits until the device is done. ``copies``: tensors that went from the host to the device.
    ``relayouts``: convolutions whose input has not the layout of their weights.
    """

    def __init__(self) -> None:
        self.waits: Counter[tuple[str, str]] = Counter()
        self.copies: Counter[tuple[str, str]] = Counter()
        self.relayouts: Counter[tuple[str, str]] = Counter()

    def wait(self, what: str) -> None:
        """Counts a wait."""
        self.waits[what, where()] += 1


log = Log()


def where() -> str:
    """Returns the innermost two lines of the pipeline that led here."""
    frame, lines = sys._getframe(1), []
    while frame is not None and len(lines) < 2:
        name = frame.f_code.co_filename
        if OURS in name and "site-packages" not in name:
            lines.append(f"{name.rsplit(OURS, 1)[1]}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(lines) or "backward pass, or torch"


class OnGPU(torch.Tensor):
    """A tensor of the device: C++ sees one of the CPU, Python one of cuda:0; ``elem`` holds its values."""

    elem: torch.Tensor

    @staticmethod
    def __new__(cls, elem: torch.Tensor) -> OnGPU:
        made = torch.Tensor._make_subclass(cls, elem.detach(), False)
        made.elem = elem.detach()
        return made

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def __repr__(self, **_: Any) -> str:
        return f"OnGPU({self.elem!r})"

    def __reduce_ex__(self, protocol: int) -> Any:
        return self.elem.__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            made: torch.Tensor = OnGPU(self.elem.clone(memory_format=torch.preserve_format))
            is_weight = isinstance(self, torch.nn.Parameter)
            memo[id(self)] = torch.nn.Parameter(made, self.requires_grad) if is_weight else made
        return memo[id(self)]

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            return OVERRIDDEN.get(func, func)(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _dispatch(func, args, kwargs or {})


def _to(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    """``Tensor.to``, that knows the device of an OnGPU (C++ does not)."""
    rest = list(args)
    other = kwargs.pop("other", None)
    if rest and isinstance(rest[0], torch.Tensor):
        other = rest.pop(0)
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    if other is not None:
        device, dtype = other.device, other.dtype
    for value in list(rest):
        if isinstance(value, torch.dtype):
            dtype = value
        elif isinstance(value, torch.device | str):
            device = value
        else:
            continue
        rest.remove(value)
    kwargs |= dict(zip(("non_blocking", "copy"), rest, strict=False))
    device, dtype = torch.device(device or tensor.device), dtype or tensor.dtype
    form, is_here = kwargs.get("memory_format"), device.type == tensor.device.type
    is_same = form in (None, torch.preserve_format) or tensor.is_contiguous(memory_format=form)
    if is_here and is_same and dtype == tensor.dtype and not kwargs.get("copy"):
        return tensor
    if is_here:
        return aten._to_copy(tensor, dtype=dtype, memory_format=form)
    return _copied(tensor, dtype=dtype, device=device, non_blocking=kwargs.get("non_blocking"), memory_format=form)


def _copied(tensor: torch.Tensor, **kwargs: Any) -> torch.Tensor:
    """Returns a copy, and counts it where it goes from one device to the other."""
    asked, non_blocking = kwargs.pop("device", None), kwargs.pop("non_blocking", False)
    kwargs.pop("pin_memory", None)
    is_source = isinstance(tensor, OnGPU)
    is_target = is_source if asked is None else torch.device(asked).type == "cuda"
    if is_source != is_target:
        _count_copy(is_source, bool(non_blocking) and is_pinned(tensor))
    found = aten._to_copy.default(_elem(tensor).detach(), **kwargs)
    return OnGPU(found) if is_target else found


def _count_copy(to_host: bool, is_free: bool) -> None:
    """Counts a copy from or to the device; one from pinned memory that is not waited for is no wait."""
    if not to_host:
        log.copies["pinned" if is_free else "pageable or blocking", where()] += 1
    if to_host or not is_free:
        log.wait("copy to the host" if to_host else "copy from the host")


def is_pinned(tensor: torch.Tensor) -> bool:
    """Returns whether a tensor of the CPU was asked to be pinned, by itself or by what it is a view of."""
    return any(getattr(one, "was_pinned", False) for one in (tensor, tensor._base) if one is not None)


def _pinned(tensor: torch.Tensor, *_: Any) -> torch.Tensor:
    made = tensor.clone()
    made.was_pinned = True  # type: ignore[attr-defined]
    return made


def _numpy(tensor: torch.Tensor, **_: Any) -> Any:
    raise TypeError(f"can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first ({where()})")


def _tolist(tensor: OnGPU) -> Any:
    log.wait("tolist")
    return tensor.elem.tolist()


def _one_hot(tensor: OnGPU, num_classes: int = -1) -> torch.Tensor:
    if num_classes < 0:
        log.wait("one_hot without num_classes")
    return OnGPU(torch.nn.functional.one_hot(tensor.elem, num_classes))


OVERRIDDEN: dict[Any, Callable[..., Any]] = {
    torch.nn.functional.one_hot: _one_hot,
    torch.Tensor.to: _to,
    torch.Tensor.cpu: lambda tensor, **_: _to(tensor, CPU),
    torch.Tensor.cuda: lambda tensor, *_, **__: _to(tensor, GPU),
    torch.Tensor.numpy: _numpy,
    torch.Tensor.__array__: _numpy,
    torch.Tensor.tolist: _tolist,
    torch.Tensor.device.__get__: lambda tensor: GPU if isinstance(tensor, OnGPU) else CPU,
}
FROM_ANYWHERE = {torch.Tensor.to: _to, torch.Tensor.cuda: OVERRIDDEN[torch.Tensor.cuda]}
PINNING = {torch.Tensor.pin_memory: _pinned, torch.Tensor.is_pinned: is_pinned}


def _elem(value: Any) -> Any:
    return value.elem if isinstance(value, OnGPU) else value


def _dispatch(func: Any, args: Any, kwargs: Any) -> Any:
    """Runs an operation on what the tensors hold, after a look at what a GPU would make of it."""
    leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    ours = [leaf for leaf in leaves if isinstance(leaf, OnGPU)]
    asked = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
    if not ours and (asked is None or asked.type != "cuda"):
        return func(*args, **kwargs)
    if ours and asked is not None and asked.type == "cpu":  # C++ means the device of the tensor that it was given
        kwargs = {**kwargs, "device": None}
    if func is aten._to_copy.default:
        return _copied(*args, **kwargs)
    _look_at(func, args, [one for one in leaves if not isinstance(one, OnGPU) and one.dim()])
    inner = {name: tree_map(_elem, value) for name, value in kwargs.items()}
    if asked is not None:
        inner["device"] = CPU
    found = func(*tree_map(_elem, args), **inner)
    given = {id(one.elem): one for one in ours}  # what works in place returns the tensor that it was given

    def wrap(value: Any) -> Any:
        known = given.get(id(value))
        return OnGPU(value) if known is None and type(value) is torch.Tensor else value if known is None else known

    return tree_map(wrap, found)


def _look_at(func: Any, args: Any, plain: list[torch.Tensor]) -> None:
    """Counts what an operation costs, and raises what it would raise; ``plain`` are its tensors of the CPU."""
    if func in SYNCING:
        log.wait(SYNCING[func])
    if func is aten.copy_.default:
        if isinstance(args[0], OnGPU) != isinstance(args[1], OnGPU):
            non_blocking = len(args) > 2 and args[2]
            _count_copy(isinstance(args[1], OnGPU), bool(non_blocking) and is_pinned(args[1]))
        return
    if getattr(func, "overloadpacket", None) in FUSED:
        _check_strides([one for one in args[: FUSED[func.overloadpacket]] if len(one)])
    if func is aten.convolution.default and args[0].dim() == 4 and args[0].shape[1] > 1:
        _look_at_layout(*args[:2])
    if func in INDEXING:
        plain = _look_at_indices(func, args, plain)
    if plain and func.namespace == "aten":
        shapes = [tuple(one.shape) for one in plain]
        raise MixedDevicesError(f"{func}: expected all tensors on cuda:0, found {shapes} on the CPU ({where()})")


def _look_at_layout(maps: torch.Tensor, weight: torch.Tensor) -> None:
    is_last = maps.stride(1) == 1  # also of a part that was cut out: it is copied, not turned round
    wants_last = weight.is_contiguous(memory_format=torch.channels_last)  # as those of 1x1 do both ways
    if is_last != wants_last:
        log.relayouts[f"input {tuple(maps.shape)}", where()] += 1


def _look_at_indices(func: Any, args: Any, plain: list[torch.Tensor]) -> list[torch.Tensor]:
    """Returns the tensors of the CPU that are no indices."""
    indices = [one for one in args[1] if one is not None]
    if not isinstance(args[0], OnGPU):
        raise MixedDevicesError(f"{func}: indices are on cuda:0, the tensor on the CPU ({where()})")
    if any(isinstance(one, OnGPU) and one.dtype in (torch.bool, torch.uint8) for one in indices):
        log.wait("index by bool")
    if any(not isinstance(one, OnGPU) for one in indices):
        _count_copy(to_host=False, is_free=False)
    return [one for one in plain if not any(one is index for index in indices)]


def _check_strides(lists: list[list[torch.Tensor]]) -> None:
    for others in lists[1:]:
        for one, other in zip(lists[0], others, strict=True):
            strides = [[s for s, n in zip(t.stride(), t.shape, strict=True) if n != 1] for t in (one, other)]
            if one.shape != other.shape or strides[0] != strides[1]:
                raise RuntimeError(
                    "Expected at::native::check_fast_path_restrictions({params, grads, state}) to be true, but got "
                    f"false: strides {one.stride()} beside {other.stride()} of {tuple(one.shape)}"
                )


class _Mode(TorchFunctionMode):
    """Catches what is made on, sent to, or pinned for the device; C++ never hears of it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in PINNING:
            return PINNING[func](*args)
        if func in FROM_ANYWHERE or (func in OVERRIDDEN and isinstance(args[0], OnGPU)):
            return OVERRIDDEN[func](*args, **kwargs)
        if kwargs.pop("pin_memory", False):
            return _pinned(func(*args, **kwargs))
        device = kwargs.get("device")
        if device is None or torch.device(device).type != "cuda" or func is torch._C._nn._parse_to:
            return func(*args, **kwargs)
        if func in (torch.tensor, torch.as_tensor) and not isinstance(args[0], OnGPU):
            _count_copy(to_host=False, is_free=False)  # made on the host, then copied
        with torch._C.DisableTorchFunctionSubclass():
            made = func(*args, **(kwargs | {"device": CPU}))
        return made if isinstance(made, OnGPU) else OnGPU(made)


def _by_device(grouped: Callable[..., Any]) -> Callable[..., Any]:
    """Returns torch's grouping of tensors for an optimizer, that knows the device of an OnGPU."""

    def group(lists: Any, with_indices: bool = False) -> Any:
        device = GPU if any(isinstance(one, OnGPU) for one in lists[0]) else None
        return {(device or place, dtype): found for (place, dtype), found in grouped(lists, with_indices).items()}

    return group


def _patches() -> list[Any]:
    """Returns what Python code of torch asks before it hands tensors to the device."""
    answers = {
        "is_available": True,
        "is_initialized": True,
        "device_count": 1,
        "current_device": 0,
        "is_bf16_supported": True,
        "synchronize": None,
        "manual_seed": None,
        "manual_seed_all": None,
        "is_current_stream_capturing": False,
        "max_memory_allocated": 0,
    }
    autocast, grouped = torch.autocast, torch._C._group_tensors_by_device_and_dtype
    return [
        *(mock.patch.object(torch.cuda, name, return_value=answer) for name, answer in answers.items()),
        mock.patch.object(torch, "autocast", lambda kind, **settings: autocast("cpu", **settings)),
        mock.patch.object(torch.optim.Optimizer, "_accelerator_graph_capture_health_check", return_value=None),
        mock.patch.object(torch._C, "_group_tensors_by_device_and_dtype", _by_device(grouped)),
        mock.patch("pipeline.training.loop.prefetched", iter),  # the mode is this thread's alone
    ]


@contextmanager
def pretended() -> Iterator[Log]:
    """Within it there is a CUDA device, as far as this thread can tell; yields a log, empty at first."""
    global log  # noqa: PLW0603

    log = Log()
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    with ExitStack() as stack:
        for patch in _patches():
            stack.enter_context(patch)
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swaps)
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.enter_context(_Mode())
        yield log
