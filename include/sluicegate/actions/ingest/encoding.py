"""Bytes → UTF-8 only where the file itself says how; what is left ambiguous stays bytes, and its lines are quarantined.

A guess between cp1252, latin-1 and their cousins is right most of the time and wrong in silence. So nothing is guessed: lines
that are plain ASCII mean the same in all of them and go on, a line with other bytes waits for its producer.
"""

import codecs

from sluicegate.actions.ingest.raw import Code, UnreadableFileError

MARKS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
REMEDY = "save it as UTF-8 and land it again"


def to_utf8(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The text as UTF-8 without a byte order mark, and what a person should know about that.

    Bytes that are neither UTF-8 nor marked as something else are returned as they are.

    Raises
    ------
    UnreadableFileError
        The mark is wrong, or the file holds zero bytes: UTF-16 without its mark, or no text at all.
    """
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _marked(data, mark, encoding)
    if b"\0" in data:
        raise UnreadableFileError(
            Code.ENCODING, f"the file holds zero bytes, so it is no text in UTF-8 (UTF-16 without mark?): {REMEDY}"
        )
    return data, ()


def _marked(data: bytes, mark: bytes, encoding: str) -> tuple[bytes, tuple[str, ...]]:
    if encoding == "utf-8":
        return data[len(mark) :], ()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as e:
        raise UnreadableFileError(Code.ENCODING, f"the file is marked as {encoding} but is not ({e.reason}): {REMEDY}") from e
    return text.encode(), (f"the file is {encoding.upper()}, as its byte order mark says, and was read as that",)


def is_utf8(data: bytes) -> bool:
    """Is this valid UTF-8?"""
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def visible(data: bytes) -> str:
    """A line for a person: bytes that are no UTF-8 stand as \\x escapes, so nothing is misread and nothing is lost."""
    return data.decode("utf-8", "backslashreplace")
