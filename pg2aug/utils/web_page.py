"""Web pages in one file: html, style, script and data of the package put together."""

import html
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any


def web_page(package: str, name: str, data: Mapping[str, Any], **texts: str) -> str:
    """Fill a page in.

    Args:
        package: Package that holds ``NAME.html``, ``NAME.css`` and ``NAME.js``.
        name: Of these files.
        data: What the script reads; put in place of ``@@DATA@@`` as json.
        texts: Put in place of the marks of these names, in capitals, e.g. ``@@TITLE@@``.
    """
    folder = files(package)
    page = folder.joinpath(f'{name}.html').read_text(encoding='utf-8')
    parts = {
        '@@STYLE@@': folder.joinpath(f'{name}.css').read_text(encoding='utf-8'),
        '@@SCRIPT@@': folder.joinpath(f'{name}.js').read_text(encoding='utf-8'),
        **{f'@@{key.upper()}@@': html.escape(text) for key, text in texts.items()},
        # Last, for it may hold anything. Within a script element only `<` could end it early.
        '@@DATA@@': json.dumps(data).replace('<', '\\u003c'),
    }
    for mark, text in parts.items():
        page = page.replace(mark, text)
    return page
