"""Limits of what one server may be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kilonova.compute.errors import TooMany
from kilonova.compute.models import PersonalityFile
from kilonova.compute.resources.quotas.counting import Limits


def check_items(metadata: Mapping[str, str], files: Sequence[PersonalityFile], limits: Limits) -> None:
    """Raises TooMany."""
    if 0 <= limits["metadata_items"] < len(metadata):
        raise TooMany(reason=f"Maximum number of metadata items exceeds {limits['metadata_items']}")
    most = limits["injected_files"]
    if 0 <= most < len(files):
        raise TooMany(reason=f"Personality file limit exceeded: {len(files)} files, at most {most} are allowed")
    path, content = limits["injected_file_path_bytes"], limits["injected_file_content_bytes"]
    for file in files:
        if 0 <= path < len(file.path.encode()):
            raise TooMany(reason=f"Personality file path exceeds maximum {path}")
        if 0 <= content < len(file.contents):
            raise TooMany(reason=f"Personality file content exceeds maximum {content}")
