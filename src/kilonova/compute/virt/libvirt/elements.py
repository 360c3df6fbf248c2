"""XML elements whose texts can't break the document."""

from __future__ import annotations

import re

from lxml import etree

UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """`text` without control characters and others that XML can't hold."""
    return UNFIT.sub("", text)


def el(tag: str, *children: etree._Element | str | None, **attributes: object) -> etree._Element:
    """An element; children and attributes that are None are left out, texts are cleaned."""
    node = etree.Element(tag)
    for key, value in attributes.items():
        if value is not None:
            node.set(key, clean(str(value)))
    for child in children:
        if isinstance(child, str):
            node.text = clean(child)
        elif child is not None:
            node.append(child)
    return node
