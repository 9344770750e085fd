"""Small pictures of stored images."""

import base64
import io
from collections.abc import Sequence

from PIL import Image

from variability.data.modalities import StoredExamples

#: Longest side in pixels. Small images are stored exactly, larger ones as JPEG.
SIDE, EXACT = 128, 64


def previews(task: StoredExamples, rows: Sequence[int]) -> list[dict[str, str]]:
    """Return the images of some rows as data URIs, see ``Modality.previews``."""
    pictures = []
    for row in rows:
        stored = task.inputs[row]
        picture = Image.fromarray(stored[0] if len(stored) == 1 else stored.transpose(1, 2, 0))
        picture.thumbnail((SIDE, SIDE))
        suffix = "png" if max(picture.size) <= EXACT else "jpeg"
        content = io.BytesIO()
        picture.save(content, suffix, **({"optimize": True} if suffix == "png" else {"quality": 80}))
        pictures.append({"image": f"data:image/{suffix};base64,{base64.b64encode(content.getvalue()).decode()}"})
    return pictures
