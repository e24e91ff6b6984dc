import jax
import jax.numpy as jnp
from cog import BaseRunner


class Predictor(BaseRunner):
    def setup(self) -> None:
        self.slope = jax.jit(jax.grad(lambda x: jnp.sin(x) ** 2))

    def run(self, x: float) -> float:
        return float(self.slope(float(x)))
