"""Packages from the project itself."""

import from_editable
import from_folder
import from_sdist
import from_wheel
import from_zip
from cog import BaseRunner


class Predictor(BaseRunner):
    """Says where each package came from."""

    def run(self) -> list[str]:
        """Return a word of each package."""
        packages = [from_editable, from_folder, from_sdist, from_wheel, from_zip]
        return [package.WORD for package in packages]
