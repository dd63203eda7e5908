"""Which files are pictures, recordings or data, and their types; judged by the end of the name alone."""

from __future__ import annotations

from pathlib import PurePosixPath

MIME_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".fits": "image/fits",
    ".fit": "image/fits",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
}
"""Files that are an event of their own when they come alone."""

_ATTACHED = {
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".json": "application/json",
    ".xml": "application/xml",
    ".ecsv": "text/csv",
    ".gz": "application/gzip",
    ".bz2": "application/x-bzip2",
    ".zip": "application/zip",
    ".bin": "application/octet-stream",
}


def mime_of(name: str) -> str:
    """The media type for a file name; `application/octet-stream` for an unknown one."""
    end = PurePosixPath(name).suffix.lower()
    return MIME_TYPES.get(end) or _ATTACHED.get(end) or "application/octet-stream"


def can_come_alone(name: str) -> bool:
    """True for a picture or recording, which says something without a description."""
    return PurePosixPath(name).suffix.lower() in MIME_TYPES
