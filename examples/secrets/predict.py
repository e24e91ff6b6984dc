from pathlib import Path

from cog import BaseRunner


class Predictor(BaseRunner):
    def run(self) -> str:
        licensed = Path("/opt/licensed").read_text().strip()
        downloaded = Path("/opt/downloaded").read_text().strip()
        return f"licensed: {licensed}, downloaded: {downloaded}"
