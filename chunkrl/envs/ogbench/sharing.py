"""One MuJoCo model for all environments of a kind, in which each keeps the numbers of its own.

OGBench compiles its robot anew for every environment: 63 MB, nearly all of it meshes, search trees
over them and pictures, which nobody writes.  What is left, 60 kB, is written in every episode:
colours and places of targets, but also the damping that locks a drawer.  So the model is lent to
one environment at a time, and its numbers are exchanged whenever it changes hands.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from copy import copy
from functools import cache
from typing import Any
from unittest import mock
from weakref import WeakValueDictionary

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided

from chunkrl.envs.rendering import import_mujoco, not_drawing

Model = Any  # mujoco.MjModel, which MuJoCo's stubs lack
Compile = Callable[..., Model]
Assets = dict[str, bytes]
Account = list[Any]  # the numbers of an environment while another holds the model

SHARED = ("mesh_", "bvh_", "tex_data", "hfield_data", "skin_")
STRUCTS = ("opt", "vis", "stat")
TURN = threading.RLock()  # MuJoCo steps without Python's lock: another thread has to wait


class Loan:
    """A model that environments hold in turns."""

    def __init__(self, model: Model):
        self.model = model
        names = [name for name in dir(model) if not name.startswith(("_", *SHARED))]
        fields = [getattr(model, name) for name in names]
        self.arrays = _joined([f for f in fields if isinstance(f, np.ndarray) and f.size])
        self.compiled = self.read()
        self.holder = self.read()

    def read(self) -> Account:
        structs = [copy(getattr(self.model, name)) for name in STRUCTS]
        return [*(array.copy() for array in self.arrays), *structs]

    def lend(self, account: Account) -> Model:
        """The model with the numbers of `account`, whose it is until the next call."""
        if self.holder is not account:
            self.holder[:] = self.read()
            count = len(self.arrays)
            for array, numbers in zip(self.arrays, account[:count], strict=True):
                array[...] = numbers
            for name, struct in zip(STRUCTS, account[count:], strict=True):
                setattr(self.model, name, struct)
            self.holder = account
        return self.model


def _joined(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The same memory in few pieces: copying 269 small arrays takes a tenth of a step.

    MuJoCo lays the arrays of a model one after the other, each at a multiple of 64 bytes.
    """
    pieces: list[tuple[np.ndarray, int, int]] = []
    for array in sorted(arrays, key=byte_bounds):
        begin, end = byte_bounds(array)
        first, start, reached = pieces[-1] if pieces else (array, begin, -64)
        if 0 <= begin - reached < 64:
            pieces[-1] = first, start, end
        else:
            pieces.append((array, begin, end))
    flat = [(first.reshape(-1).view(np.uint8), end - begin) for first, begin, end in pieces]
    return [as_strided(first, (size,), (1,)) for first, size in flat]


def borrower(kind: Any) -> type:
    """A class of manipulation environments like `kind`, whose models are lent.

    Whoever reaches for the model of one, or for its data in order to draw them, finds its own
    numbers there.
    """

    def in_turn(name: str) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            with TURN:
                return getattr(kind, name)(self, *args, **kwargs)

        return call

    class Borrower(kind):
        reset, step, render = map(in_turn, ("reset", "step", "render"))

        @property
        def _model(self) -> Model:
            return self._loan.lend(self._account) if "_loan" in vars(self) else None

        @_model.setter
        def _model(self, model: Model) -> None:
            self._loan = model if isinstance(model, Loan) else Loan(model)
            self._account = list(self._loan.compiled)

        @property
        def data(self) -> Any:
            _ = self._model
            return super().data

        def build_mjcf_model(self) -> Any:
            with one_copy():
                return super().build_mjcf_model()

        def compile_model_and_data(self) -> None:
            with one_copy(_loan):
                super().compile_model_and_data()

    return Borrower


_loans: WeakValueDictionary[tuple, Loan] = WeakValueDictionary()
_skeletons: dict[tuple, Model] = {}
_kept: list[Loan] = []
_keepers: list[None] = []


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """While this lasts, a model stays for the next environment of its kind."""
    _keepers.append(None)
    try:
        yield
    finally:
        _keepers.pop()
        if not _keepers:
            _kept.clear()


def _loan(compile: Compile, xml: str, assets: Assets) -> Loan:
    """Each environment is given the same one for the same XML; it goes with the last of them."""
    key = xml, frozenset(assets.items())
    _loans[key] = loan = _loans.get(key) or Loan(_lean(compile, xml, assets))
    if _keepers and loan not in _kept:
        _kept.append(loan)
    return loan


def _skeleton(compile: Compile, xml: str, assets: Assets) -> Model:
    """Joints and masses, which are all that inverse kinematics reads and never writes: 20 kB."""
    key = xml.replace("<compiler ", '<compiler discardvisual="true" ', 1), frozenset(assets.items())
    _skeletons[key] = _skeletons.get(key) or _lean(compile, key[0], assets)
    return _skeletons[key]


def _lean(compile: Compile, xml: str, assets: Assets) -> Model:
    """Compile, and leave behind nothing but the model."""
    engine = import_mujoco()
    meshes = getattr(engine, "mj_getCache", lambda: None)()  # none in older releases
    most = engine.mj_getCacheCapacity(meshes) if meshes else 0
    if meshes:
        engine.mj_setCacheCapacity(meshes, 0)  # 77 MB, for models that are compiled again
    try:
        model = compile(xml, assets)
    finally:
        if meshes:
            engine.mj_setCacheCapacity(meshes, most)
    compile("<mujoco/>")  # MuJoCo keeps what it parsed last, here 80 MB
    return model


@contextlib.contextmanager
def one_copy(instead: Callable[[Compile, str, Assets], Any] = _skeleton) -> Iterator[None]:
    """While OGBench makes an environment: read each file once, compile by `instead`.

    dm_control only reads XML here; opening a display would take 50 MB.
    """
    with not_drawing():
        from dm_control.utils import io

    thread, model = threading.get_ident(), import_mujoco().MjModel
    compile = model.from_xml_string

    def choose(xml: str, assets: Assets | None = None, **rest: Any) -> Any:
        if threading.get_ident() != thread:
            return compile(xml, assets, **rest)
        return instead(compile, xml, assets or {}, **rest)

    with (
        TURN,
        not_drawing(),
        mock.patch.object(io, "GetResource", _read),
        mock.patch.object(model, "from_xml_string", choose),
    ):
        yield


@cache
def _read(path: str, mode: str = "rb") -> bytes | str:
    with open(path, mode) as file:
        return file.read()
