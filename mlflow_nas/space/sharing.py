"""Weights that all architectures of a space share: the space's own transfer, made differentiable.

The transfer runs once per network on the seed network's tensors and is recorded. Its record is computed again
with the shared tensors as they are trained: a network's tensors stay functions of them, mostly slices, and
what follows from values, such as the order of channels by importance, stays as it was with the seed's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from mlflow_nas.space.search_space import Transfer
from mlflow_nas.space.weights import SeedWeights

__all__ = ["NetworkWeights", "SharedWeights"]

State: TypeAlias = Mapping[str, Tensor]

_CPU = torch.device("cpu")


class _Replay:
    """One computation of records from the shared tensors."""

    def __init__(self, shared: State) -> None:
        self.shared = shared
        self._device = next((value.device for value in shared.values()), torch.device("cpu"))
        self._done: dict[_Record, Any] = {}

    def value(self, record: "_Record") -> Any:
        """Its value, computed once."""
        if record not in self._done:
            self._done[record] = record.value(self)
        return self._done[record]

    def argument(self, given: Any) -> Any:
        """The argument of a call: a record's value, or a constant."""
        if isinstance(given, _Leaf | _Call | _Part):
            return self.value(given)
        return given.to(self._device) if isinstance(given, Tensor) else given


class _Record(Protocol):
    """How a value was computed from the seed's tensors."""

    def value(self, replay: _Replay) -> Any:
        """The same of the shared tensors."""


@dataclass(frozen=True, slots=True, eq=False)
class _Leaf:
    name: str

    def value(self, replay: _Replay) -> Tensor:
        return replay.shared[self.name]


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    function: Callable[..., Any]
    args: Any
    kwargs: Any

    def value(self, replay: _Replay) -> Any:
        args, kwargs = _mapped((self.args, self.kwargs), replay.argument)
        return self.function(*args, **kwargs)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    whole: _Call
    index: int

    def value(self, replay: _Replay) -> Any:
        return replay.value(self.whole)[self.index]


def _mapped(given: Any, change: Callable[[Any], Any]) -> Any:
    """Arguments of a call, those inside of lists, tuples and mappings too."""
    if isinstance(given, dict):
        return {name: _mapped(one, change) for name, one in given.items()}
    if type(given) in (list, tuple):
        return type(given)(_mapped(one, change) for one in given)
    return change(given)


class _Recorded(Tensor):
    """A tensor of the seed network, or a floating-point result of some, that remembers its computation."""

    record: _Record

    @classmethod
    def of(cls, value: Tensor, record: _Record) -> "_Recorded":
        with _plain():
            recorded = value.detach().as_subclass(cls)
        recorded.record = record
        return recorded

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Compute as usual; a result that is not floating-point, such as an order, is a constant."""
        args, kwargs = tuple(args), dict(kwargs or {})
        with _plain():
            result = func(*args, **kwargs)
            call = _Call(func, *_mapped((args, kwargs), _record_of))
            if type(result) in (list, tuple):
                return tuple(_noted(one, _Part(call, index)) for index, one in enumerate(result))
            return _noted(result, call)


def _plain() -> AbstractContextManager[None]:
    """Inside, recorded tensors compute as any others (pytorch.org/docs, "Extending PyTorch")."""
    return torch._C.DisableTorchFunctionSubclass()


def _record_of(given: Any) -> Any:
    return given.record if isinstance(given, _Recorded) else given


def _noted(result: Any, record: _Record) -> Any:
    if isinstance(result, Tensor):
        return _Recorded.of(result, record) if result.is_floating_point() else result.as_subclass(Tensor)
    return result


def _values(state: State) -> dict[str, Tensor]:
    """The tensors without their records."""
    with _plain():
        return {name: value.detach().as_subclass(Tensor) for name, value in state.items()}


@dataclass(frozen=True, slots=True)
class NetworkWeights:
    """How one network's trained tensors follow from the shared ones.

    Attributes:
        records: name of a parameter to the record of its computation.
    """

    records: Mapping[str, _Record]

    def of(self, shared: State) -> dict[str, Tensor]:
        """The network's parameters by name, differentiable functions of the shared tensors."""
        replay = _Replay(shared)
        return {name: replay.value(record) for name, record in self.records.items()}


class SharedWeights:
    """The shared tensors of a space.

    They begin as the seed network's. A tensor that the transfer leaves to the candidate is shared by the
    networks that have it in that shape.

    Args:
        seed: the seed network's weights.
        transfer: of the space.
        trained: names of the seed's tensors that are trained; the others are constants.
        frozen: prefix of names that are never trained; None for none.
        device: of the shared tensors.

    Attributes:
        tensors: name to leaf tensor; `attach` adds what the seed lacks.
    """

    def __init__(
        self,
        seed: SeedWeights,
        transfer: Transfer,
        *,
        trained: Iterable[str],
        frozen: str | None = None,
        device: torch.device = _CPU,
    ) -> None:
        self._transfer, self._frozen, self._device = transfer, frozen, device
        self.tensors: dict[str, Tensor] = {}
        self._first: dict[str, Tensor] = {}
        self._seed = replace(seed, state=dict(seed.state))
        for name in trained:
            if name in seed.state and not self._is_frozen(name):
                self._share(name, seed.state[name])

    def _is_frozen(self, name: str) -> bool:
        return self._frozen is not None and name.startswith(self._frozen)

    def _share(self, name: str, value: Tensor) -> None:
        self._first[name] = value.detach().clone()
        self.tensors[name] = self._leaf(value)
        self._seed = replace(
            self._seed, state={**self._seed.state, name: _Recorded.of(self._first[name], _Leaf(name))}
        )

    def extend(self, network: nn.Module) -> None:
        """Share what the seed lacks and a whole fresh network has: others then have slices of it.

        Raises:
            ConfigError: as of `attach`.
        """
        parameters = {name for name, _ in network.named_parameters()}
        missing = [name for name in network.state_dict() if name not in self._seed.state]
        if not missing:
            return
        state = _values(self._seed.transferred(network, self._transfer))
        for name in missing:
            if name in parameters and not self._is_frozen(name):
                self._share(name, state[name])
            else:
                self._seed = replace(self._seed, state={**self._seed.state, name: state[name]})

    def attach(self, network: nn.Module) -> NetworkWeights:
        """Initialize a whole fresh network by the transfer, and find how its parameters are shared.

        Whole, with its backbone: channels are ordered by it.

        Raises:
            ConfigError: a tensor of the network is missing in the seed or can't be sliced to its shape.
        """
        given = self._seed.transferred(network, self._transfer)
        first = _values(given)
        network.load_state_dict(first)
        names = [name for name, _ in network.named_parameters() if not self._is_frozen(name)]
        return NetworkWeights({name: self._record(name, given[name], first[name]) for name in names})

    def _record(self, name: str, given: Tensor, first: Tensor) -> _Record:
        """The record of a parameter; a leaf of its own where it has none, or one that gives another value."""
        if isinstance(given, _Recorded) and torch.equal(_Replay(self._first).value(given.record), first):
            return given.record
        own = f"{name} {tuple(first.shape)}"
        if own not in self.tensors:
            self.tensors[own] = self._leaf(first)
        return _Leaf(own)

    def _leaf(self, value: Tensor) -> Tensor:
        return value.detach().to(self._device, copy=True).requires_grad_()
