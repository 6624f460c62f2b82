"""A slow trainer in plain numpy with the interface of the compiled one, to test the runs with."""

import sys
import types

import numpy as np

from ntkspec.errors import NtkspecError


class Diverged(NtkspecError):
    pass


class Network:
    def __init__(self, activation, width, dim, seed, antisymmetric, weight_variance, trained):
        rng = np.random.default_rng(seed)
        half = width // 2 if antisymmetric else width
        w = rng.standard_normal((half, dim)) * weight_variance**0.5
        a = rng.choice([-1.0, 1.0], half)
        self.weights = np.concatenate([w, w]) if antisymmetric else w
        self.signs = np.concatenate([a, -a]) if antisymmetric else a
        self.sigma, self.trained = activation, trained

    def values(self, x):
        return self.sigma.value(x @ self.weights.T) @ self.signs / len(self.signs) ** 0.5

    def tangent_matrix(self, x):
        d = self.sigma.derivative(x @ self.weights.T)
        return (x @ x.T) * (d @ d.T) / len(self.signs)


def start(activation, width, dim, seed, *, antisymmetric=True, weight_variance=1.0,
          trained="hidden", precision="float64"):  # fmt: skip
    return Network(activation, width, dim, seed, antisymmetric, weight_variance, trained)


class Descent:
    def __init__(self, network, x, target_values, loss, step=None, threads=None):
        self.network, self.x, self.y, self.p = network, x, target_values, loss
        product = network.tangent_matrix(x) @ loss.matrix()
        self.largest_stable_step = 2.0 / np.abs(np.linalg.eigvals(product)).max()
        self.step_size = step or 0.5 * self.largest_stable_step
        if self.step_size > self.largest_stable_step:
            raise NtkspecError(
                f"step = {step} is not stable; at most {self.largest_stable_step:.4g} is"
            )
        self.steps = 0

    @property
    def residual(self):
        return self.network.values(self.x) - self.y

    @property
    def loss(self):
        return self.p.value(self.residual)

    def advance(self, count):
        net = self.network
        for _ in range(count):
            g = self.p.apply(self.residual)
            if not np.isfinite(g).all() or self.loss > 1e6:
                raise Diverged(f"training diverged at step {self.steps}: the loss grew")
            d = net.sigma.derivative(self.x @ net.weights.T)
            scale = self.step_size / len(net.signs) ** 0.5
            net.weights = net.weights - scale * net.signs[:, None] * ((d * g[:, None]).T @ self.x)
            self.steps += 1

    def state(self):
        return {
            "weights": self.network.weights, "steps": self.steps, "step_size": self.step_size,
            "largest": self.largest_stable_step,
        }  # fmt: skip

    @classmethod
    def restore(cls, network, x, target_values, loss, state, threads=None):
        self = cls.__new__(cls)
        self.network, self.x, self.y, self.p = network, x, target_values, loss
        network.weights = np.array(state["weights"])
        self.steps, self.step_size = int(state["steps"]), float(state["step_size"])
        self.largest_stable_step = float(state["largest"])
        return self


def flattening_exponent(network, points, target, weight):
    return 1.0


def install():
    network, descent = types.ModuleType("network"), types.ModuleType("descent")
    network.start, network.WideNetwork = start, Network
    descent.Descent, descent.Diverged = Descent, Diverged
    descent.flattening_exponent = flattening_exponent
    sys.modules["ntkspec.trainer.network"] = network
    sys.modules["ntkspec.trainer.descent"] = descent
