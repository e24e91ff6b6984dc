import six
from cog import BaseRunner
from uv_project import shout


class Predictor(BaseRunner):
    def run(self, text: str) -> str:
        return f"{shout(text)} six {six.__version__}"
