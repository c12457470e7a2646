"""Data frames as plain data."""

import math
from typing import Any

import pandas


def columns_of(frame: pandas.DataFrame) -> dict[Any, list[Any]]:
    """Each column's values by its name, in the order of the rows. Times in ISO 8601, what is missing as None."""
    return {_name(name): [_plain(value) for value in frame.iloc[:, place]] for place, name in enumerate(frame.columns)}


def _name(name: Any) -> Any:
    return name if isinstance(name, str) else ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _plain(value: Any) -> Any:
    if value is None or value is pandas.NaT or value is pandas.NA:
        return None
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int | bool | list | dict):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)
