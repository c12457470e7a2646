"""Figures of matplotlib as data: what was drawn, read back from the figure's own objects."""

import math
import re
from datetime import date
from typing import Any

import matplotlib.dates
import numpy
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle, Wedge
from matplotlib.text import Text

Chart = dict[str, Any]

_UNIT = re.compile(r"\s\((.*?)\)|\[(.*?)\]")


def chart_of(figure: Figure) -> Chart:
    """A figure's chart, all of its charts as a superchart where there are several, {} where nothing is drawn."""
    axes = figure.get_axes()
    if not any(each.has_data() for each in axes):
        return {}
    if len(axes) == 1:
        return _chart(axes[0])
    return {
        "type": "superchart",
        "title": figure.get_suptitle() or None,
        "elements": [_chart(each) for each in axes],
    }


def _chart(axes: Axes) -> Chart:
    kind = _kind(axes)
    chart: Chart = {"type": kind, "title": axes.get_title() or None}
    match kind:
        case "line":
            return chart | _labels(axes) | _scales(axes) | {"elements": _lines(axes)}
        case "scatter":
            return chart | _labels(axes) | _scales(axes) | {"elements": _scattered(axes)}
        case "pie":
            return chart | {"elements": _slices(axes)}
        case "bar":
            upright, elements = _bars(axes)
            return chart | _labels(axes, swapped=not upright) | {"elements": elements}
        case "box_and_whisker":
            upright, elements = _boxes(axes)
            return chart | _labels(axes, swapped=not upright) | {"elements": elements}
    return chart | {"elements": []}


def _kind(axes: Axes) -> str:
    # The public list has spines, ticks and titles too, which nothing tells from what was drawn.
    drawn = [artist for artist in axes._children if not isinstance(artist, Text)]
    if all(isinstance(artist, Line2D) for artist in drawn):
        return "line"
    if all(isinstance(artist, PathPatch | Line2D) for artist in drawn):
        return "box_and_whisker"
    shapes = [artist for artist in drawn if not (isinstance(artist, Line2D) and _is_rule(artist))]
    for kind, shape in (("scatter", PathCollection), ("pie", Wedge), ("bar", Rectangle)):
        if all(isinstance(artist, shape) for artist in shapes):
            return kind
    return "unknown"


def _is_rule(line: Line2D) -> bool:
    """Whether a line is one across the chart, as for a threshold, and no data."""
    x, y = line.get_xdata(), line.get_ydata()
    return len(x) == 2 and len(y) == 2 and bool(x[0] == x[1] or y[0] == y[1])


def _labels(axes: Axes, *, swapped: bool = False) -> Chart:
    """Names and units of the axes; of a chart that lies on its side those that it would have upright."""
    x, y = axes.get_xlabel() or None, axes.get_ylabel() or None
    if swapped:
        x, y = y, x
    return {"x_label": x, "y_label": y, "x_unit": _unit(x), "y_unit": _unit(y)}


def _unit(label: str | None) -> str | None:
    """What stands in brackets: `Speed (km/h)`, `Mass [kg]`."""
    found = _UNIT.search(label) if label else None
    return (found.group(1) or found.group(2)) if found else None


def _scales(axes: Axes) -> Chart:
    scales: Chart = {}
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        dated = isinstance(axis.get_converter(), matplotlib.dates._SwitchableDateConverter)
        places = axis.get_ticklocs()
        ticks = [matplotlib.dates.num2date(place).isoformat() for place in places] if dated else _values(places)
        scales[f"{name}_ticks"] = ticks
        scales[f"{name}_tick_labels"] = labels
        scales[f"{name}_scale"] = "datetime" if dated else _scale(axis.get_scale(), ticks, labels)
    return scales


def _scale(declared: str, ticks: list[Any], labels: list[str]) -> str:
    """A scale's name. Names at 0, 1, 2 … are categories."""
    if declared != "linear":
        return declared
    named = all(tick == place and label != str(place) for place, (tick, label) in enumerate(zip(ticks, labels)))
    return "categorical" if named else "linear"


def _lines(axes: Axes) -> list[Chart]:
    return [
        {"label": _line_label(line), "points": _points(line.get_xdata(), line.get_ydata())}
        for line in axes.get_lines()
        if not _is_rule(line)
    ]


def _line_label(line: Line2D) -> str:
    label = str(line.get_label())
    return f"Line {label.removeprefix('_child')}" if label.startswith("_child") else label


def _scattered(axes: Axes) -> list[Chart]:
    return [
        {"label": str(each.get_label()), "points": _points(*numpy.asarray(each.get_offsets()).reshape(-1, 2).T)}
        for each in axes.collections
    ]


def _points(x: Any, y: Any) -> list[list[Any]]:
    return [list(point) for point in zip(_values(x), _values(y))]


def _bars(axes: Axes) -> tuple[bool, list[Chart]]:
    """Whether the bars stand upright, and each one's value by its label and its group."""
    upright, elements = True, []
    for container in axes.containers:
        group = str(container.get_label())
        if group.startswith("_container"):
            group = f"Group {group.removeprefix('_container')}"
        upright = getattr(container, "orientation", "vertical") != "horizontal"
        for bar, label in zip(container, _bar_labels(axes.xaxis if upright else axes.yaxis, list(container), upright)):
            value = bar.get_height() if upright else bar.get_width()
            elements.append({"label": label, "group": group, "value": _value(value)})
    return upright, elements


def _bar_labels(axis: Any, bars: list[Rectangle], upright: bool) -> list[str]:
    """The axis' own labels where each bar has one, else where the bars stand."""
    labels = [label.get_text() for label in axis.get_ticklabels()]
    if len(labels) == len(bars):
        return labels
    at = dict(zip((_rounded(place) for place in axis.get_ticklocs()), labels))
    centers = [
        _rounded(bar.get_x() + bar.get_width() / 2 if upright else bar.get_y() + bar.get_height() / 2) for bar in bars
    ]
    return [at.get(center) or f"{center:g}" for center in centers]


def _slices(axes: Axes) -> list[Chart]:
    return [
        {
            "label": str(wedge.get_label()),
            "angle": _rounded(abs(float(wedge.theta2) - float(wedge.theta1))),
            "radius": float(wedge.r),
        }
        for wedge in axes.patches
        if isinstance(wedge, Wedge)
    ]


def _boxes(axes: Axes) -> tuple[bool, list[Chart]]:
    """Whether the boxes stand upright, and each one's five numbers, read from its outline and the lines about it."""
    outlines = [_outline(patch) for patch in axes.patches]
    lines = [(_rounded_all(line.get_xdata()), _rounded_all(line.get_ydata())) for line in axes.lines]
    upright = _stand_upright(outlines, lines)
    labels = [label.get_text() for label in (axes.xaxis if upright else axes.yaxis).get_ticklabels()]
    elements = []
    for place, (x, y) in enumerate(outlines):
        label = labels[place] if place < len(labels) else ""
        numbers = _five_numbers(x, y, lines) if upright else _five_numbers(y, x, [(b, a) for a, b in lines])
        elements.append({"label": label} | numbers)
    return upright, elements


def _stand_upright(outlines: list[Any], lines: list[Any]) -> bool:
    """Boxes stand if a whisker leads up or down from one's middle, and lie if one leads to a side."""
    for across, along, turned in [(x, y, False) for x, y in outlines] + [(y, x, True) for x, y in outlines]:
        middle = _rounded(sum(across) / 2)
        for a, b in [(y, x) if turned else (x, y) for x, y in lines]:
            outside = len(b) == 2 and b[0] != b[1] and (max(b) <= along[0] or min(b) >= along[1])
            if outside and a[0] == a[1] == middle:
                return not turned
    return len({_rounded(x[1] - x[0]) for x, _ in outlines}) == 1


def _outline(patch: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    corners = patch.get_path().vertices
    x, y = corners[:, 0], corners[:, 1]
    return ((_rounded(x.min()), _rounded(x.max())), (_rounded(y.min()), _rounded(y.max())))


def _five_numbers(across: tuple[float, float], along: tuple[float, float], lines: list[Any]) -> Chart:
    first, third = along
    numbers: Chart = {"min": first, "first_quartile": first, "median": first, "third_quartile": third, "max": third}
    outliers: list[float] = []
    for x, y in lines:
        if not all(across[0] <= value <= across[1] for value in x):
            continue
        if len(y) == 2 and y[0] == y[1] and first <= y[0] <= third and x[0] != x[1]:
            numbers["median"] = y[0]
        elif len(y) == 2 and max(y) == first and min(y) < first:
            numbers["min"] = min(y)
        elif len(y) == 2 and min(y) == third and max(y) > third:
            numbers["max"] = max(y)
        elif len(y) != 2 or x[0] == x[1] and not (max(y) <= first or min(y) >= third):
            outliers += y
    return numbers | {"outliers": outliers}


def _values(values: Any) -> list[Any]:
    return [_value(value) for value in values]


def _value(value: Any) -> Any:
    """A number or a text for JSON; times in ISO 8601, None for what is no number."""
    if isinstance(value, numpy.datetime64):
        return str(value.astype("datetime64[s]"))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return number if math.isfinite(number) else None


def _rounded_all(numbers: Any) -> list[float]:
    return [_rounded(float(number)) for number in numbers]


def _rounded(number: float) -> float:
    """Without what binary fractions add: eight digits after the leading one."""
    return float(f"{float(number):.9g}")
