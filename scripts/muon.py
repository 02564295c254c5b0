"""Muon in PyTorch's words, for scripts that compare: the numbers of airbench94_muon, in the precision of the parameters.

Three things are as in gpunn and not as published there: no bfloat16; constants rounded to single precision; 1e-14 is added to the square
of the norm instead of 1e-7 to the norm.
"""

import torch


def single(value):
    """As near as single precision comes."""
    return torch.tensor(value, dtype=torch.float32).item()


COEFFICIENTS = [single(value) for value in (3.4445, -4.775, 2.0315)]


def orthogonalised(x, iterations):
    """The matrix x, divided by its norm, after so many iterations."""
    a, b, c = COEFFICIENTS
    x = x / (x.square().sum() + single(1e-14)).sqrt()
    high = x.shape[0] > x.shape[1]
    x = x.T if high else x
    for _ in range(iterations):
        products = x @ x.T
        x = a * x + (b * products + c * products @ products) @ x
    return x.T if high else x


class Muon:
    """Each parameter gets the norm sqrt(outputs), then a step along the orthogonalised Nesterov momentum."""

    def __init__(self, parameters, rate, momentum, iterations=3):
        self.parameters, self.momentum, self.iterations = list(parameters), momentum, iterations
        self.rate, self.velocities = rate, [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self):
        for p, velocity in zip(self.parameters, self.velocities):
            velocity.mul_(self.momentum).add_(p.grad)
            direction = (p.grad + self.momentum * velocity).flatten(1)
            p.mul_(len(p) ** 0.5 / p.norm()).sub_(self.rate * orthogonalised(direction, self.iterations).view_as(p))
