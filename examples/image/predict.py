from pathlib import Path as Folder

from cog import BaseRunner, Input, Path
from PIL import Image, ImageDraw, ImageFont

FONTS = Folder("/usr/share/fonts/truetype/dejavu")


class Predictor(BaseRunner):
    def setup(self) -> None:
        self.fonts = Folder("/opt/fonts.txt").read_text().split()

    def run(
        self,
        text: str = Input(description="what to write"),
        size: int = Input(description="font size in pixels", default=32, ge=8, le=200),
    ) -> Path:
        font = ImageFont.truetype(str(FONTS / self.fonts[0]), size)
        left, top, right, bottom = font.getbbox(text)
        image = Image.new("RGB", (int(right - left) + 20, int(bottom - top) + 20), "white")
        ImageDraw.Draw(image).text((10 - left, 10 - top), text, fill="black", font=font)
        image.save("/tmp/out.png")
        return Path("/tmp/out.png")
