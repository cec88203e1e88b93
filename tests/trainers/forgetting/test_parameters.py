"""The domains of parameters, and the way to numbers without bounds and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from trainers.forgetting.parameters import DOMAINS, Kind, Parameter

VALUES: dict[Kind, list[Any]] = {
    "positive": [1e-9, 0.3, 7.0, 1e15],
    "share": [1e-6, 0.2, 0.5, 1 - 1e-6],
    "rate": [1e-20, 0.4, 0.99, 1 - 1e-9, 1.0],
    "positives": [(0.5,), (3.0, 1e-9, 1e15)],
    "shares": [(1.0,), (0.2, 0.3, 0.5), (1e-9, 1 - 1e-9)],
    "slopes": [(0.0,), (0.0, 1e-3, 2.0, 500.0)],
    "ages": [(2.0,), (1e-6, 0.5, 3.0, 1e9)],
}
CASES = [(Parameter("x", kind), value) for kind, values in VALUES.items() for value in values]
KINDS = [Parameter("x", kind) for kind in DOMAINS]
every_value = pytest.mark.parametrize(("parameter", "value"), CASES)
every_kind = pytest.mark.parametrize("parameter", KINDS, ids=lambda parameter: parameter.kind)


def test_every_kind_is_covered() -> None:
    assert set(VALUES) == set(DOMAINS)


@every_value
def test_there_and_back(parameter: Parameter, value: Any) -> None:
    free = parameter.to_free(value)
    back = parameter.from_free(free)
    assert isinstance(free, np.ndarray)
    assert isinstance(back, np.ndarray)
    assert free.shape == back.shape == np.shape(value)
    assert np.isfinite(free).all()
    np.testing.assert_allclose(back, value, rtol=1e-9, atol=2e-8 if parameter.kind == "slopes" else 2e-12)
    tensor = parameter.to_free(torch.tensor(value, dtype=torch.float64))
    np.testing.assert_allclose(tensor.numpy(), free, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(parameter.from_free(tensor).numpy(), back, rtol=1e-12)
    assert parameter.check("family", back) == pytest.approx(
        parameter.check("family", value), rel=1e-9, abs=2e-8
    )


@every_kind
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_every_free_number_is_a_value(parameter: Parameter, precision: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    for scale in (0.1, 1.0, 10.0) if parameter.learnable else (0.1, 1.0):
        for _ in range(50):
            shape = (4,) if parameter.many else ()
            free = scale * torch.randn(shape, generator=generator, dtype=precision)
            parameter.check("family", parameter.from_free(free))
            parameter.check("family", parameter.from_free(free.numpy()))


@every_kind
def test_gradients_flow_from_the_value_to_the_free_numbers(parameter: Parameter) -> None:
    free = torch.tensor([0.3, -0.4, 1.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(parameter.from_free, (free,))


@every_kind
def test_leading_axes_are_free(parameter: Parameter) -> None:
    """One value for each of five users is as good as five values."""
    free = np.random.default_rng(0).normal(size=(5, 3))
    rows = parameter.from_free(free)
    assert rows.shape == free.shape
    np.testing.assert_allclose(rows, [parameter.from_free(row) for row in free])
    there = parameter.to_free(rows)
    np.testing.assert_allclose(there, [parameter.to_free(row) for row in rows])
    np.testing.assert_allclose(parameter.from_free(there), rows)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("positive", [0.0, -1.0, np.nan, np.inf, "soon", None, (1.0, 2.0)]),
        ("share", [0.0, 1.0, -0.1, 1.1]),
        ("rate", [0.0, 1.1, -0.5]),
        ("positives", [(), (0.0,), (1.0, -1.0), 1.0, [[1.0]], (1.0, np.nan)]),
        ("shares", [(), (0.5, 0.4), (1.5, -0.5), (1.0, 0.0)]),
        ("slopes", [(), (-1.0,), (1.0, np.inf)]),
        ("ages", [(), (0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]),
    ],
)
def test_what_is_outside_is_refused(kind: Kind, wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises(ValueError, match=r"^`family.x` must .*, but got "):
            Parameter("x", kind).check("family", value)


def test_numbers_arrays_and_tensors_become_floats() -> None:
    for value in (2, 2.0, np.float32(2), np.array([2.0]), torch.tensor(2.0, requires_grad=True)):
        found = Parameter("x", "positive").check("family", value)
        assert (found, type(found)) == (2.0, float)
    for values in ([1, 2], np.array([1.0, 2.0]), torch.tensor([1.0, 2.0], requires_grad=True)):
        assert Parameter("x", "positives").check("family", values) == (1.0, 2.0)


def test_only_fixed_ages_are_not_learned() -> None:
    assert {parameter.kind for parameter in KINDS if not parameter.learnable} == {"ages"}
