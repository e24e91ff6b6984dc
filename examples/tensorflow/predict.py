import tensorflow as tf
from cog import BaseRunner


class Predictor(BaseRunner):
    def run(self, x: float, y: float) -> list[float]:
        product = tf.linalg.matvec([[2.0, 0.0], [0.0, 3.0]], [float(x), float(y)])
        return product.numpy().tolist()
