"""`make reference`: writes the pages of this folder anew from the code."""

from pathlib import Path

import command_line
import http_face
import python_api

PAGES = {"cli.md": command_line.page, "http.md": http_face.page, "python.md": python_api.page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (Path(__file__).parent / name).write_text(page())
