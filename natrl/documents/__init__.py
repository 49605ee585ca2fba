"""Documents in JSON and YAML, as natrl and its users write them: read by one reader, which trusts nothing."""

from natrl.documents.plain import check_shape, set_at, shown
from natrl.documents.reading import open_file, parse_json, read_document, read_json, read_text, yaml_text

__all__ = [
    "check_shape",
    "open_file",
    "parse_json",
    "read_document",
    "read_json",
    "read_text",
    "set_at",
    "shown",
    "yaml_text",
]
