"""Shows in the gallery what a demo has saved: every PNG in the folder that the example calls ``pictures``."""

import shutil
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst


def _get_sg_image_scraper() -> Any:
    return move_pictures


def move_pictures(block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Move the pictures that a block of an example has made to the gallery and return the reST that shows them."""
    folder = block_vars["example_globals"].get("pictures")
    made = sorted(Path(folder).glob("*.png")) if folder is not None else []
    shown = []
    for picture in made:
        place = next(block_vars["image_path_iterator"])
        shutil.move(picture, place)
        shown.append(place)
    return figure_rst(shown, gallery_conf["src_dir"])
