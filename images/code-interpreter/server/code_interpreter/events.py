"""What a kernel says, as the events that clients read: one JSON object a line."""

import json
import math
from datetime import datetime
from typing import Any

Event = dict[str, Any]

END: Event = {"type": "end_of_execution"}
KEEPALIVE: Event = {"type": "keepalive"}

# The formats that clients know by a name; all others go to `extra` under their MIME type.
_FORMATS = {
    "text/plain": "text",
    "text/html": "html",
    "text/markdown": "markdown",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpeg",
    "application/pdf": "pdf",
    "text/latex": "latex",
    "application/json": "json",
    "application/javascript": "javascript",
    "e2b/data": "data",
    "e2b/chart": "chart",
}


def event_of(message: dict[str, Any], traceback_separator: str = "") -> Event | None:
    """The event of a message from a kernel's output channel, None for what clients don't hear of."""
    content = message["content"]
    match message["msg_type"]:
        case "stream":
            kind = "stderr" if content["name"] == "stderr" else "stdout"
            return {"type": kind, "text": content["text"], "timestamp": _time(message["header"].get("date"))}
        case "execute_result":
            return result(content["data"], main=True)
        case "display_data":
            return result(content["data"], main=False)
        case "execute_input":
            return {"type": "number_of_executions", "execution_count": content["execution_count"]}
        case "error":
            return error(content["ename"], content["evalue"], traceback_separator.join(content["traceback"]))
    return None


def error(name: str, value: str, traceback: str = "") -> Event:
    """An error that ends an execution."""
    return {"type": "error", "name": name, "value": value, "traceback": traceback}


def result(data: dict[str, Any], *, main: bool) -> Event:
    """What a cell's last expression was (`main`), or what it displayed, in all formats that it has."""
    event: Event = {"type": "result", "extra": {}, "is_main_result": main}
    for mime, value in data.items():
        name = _FORMATS.get(mime)
        if name is None:
            event["extra"][mime] = value
        elif value is not None:
            event[name] = _unquoted(value) if name == "text" else value
    return event


def line_of(event: Event) -> bytes:
    """One line of an answer. What JSON has no number for becomes null, as no client could read the line otherwise."""
    try:
        text = json.dumps(event, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(event))
    return text.encode() + b"\n"


def _unquoted(text: str) -> str:
    """A string's representation without its quotes."""
    quoted = (text.startswith("'") and text.endswith("'")) or (text.startswith('"') and text.endswith('"'))
    return text[1:-1] if quoted else text


def _time(date: datetime | str | None) -> str:
    return date.isoformat().replace("+00:00", "Z") if isinstance(date, datetime) else str(date or "")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_finite(member) for member in value]
    return value
