"""An IPython extension: formats of results that only E2B has. Nothing is imported that the user hasn't."""

import sys
from typing import Any

from IPython.core.formatters import BaseFormatter, JSONFormatter
from traitlets import ObjectName, Unicode

from .images import show_images


class DataFormatter(BaseFormatter):
    """Data frames of pandas as their columns."""

    format_type = Unicode("e2b/data")
    print_method = ObjectName("_repr_e2b_data_")
    _return_type = (dict, str)

    def __call__(self, obj: Any) -> Any:
        pandas = sys.modules.get("pandas")
        frame = getattr(pandas, "DataFrame", None)
        if frame is None or not isinstance(obj, frame):
            return super().__call__(obj)
        from .tables import columns_of

        return _or_nothing(columns_of, obj)


class ChartFormatter(BaseFormatter):
    """Figures of matplotlib as what they show."""

    format_type = Unicode("e2b/chart")
    print_method = ObjectName("_repr_e2b_chart_")
    _return_type = (dict, str)

    def __call__(self, obj: Any) -> Any:
        figure = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
        if figure is None or not isinstance(obj, figure):
            return super().__call__(obj)
        from .charts import chart_of

        return _or_nothing(chart_of, obj)


def _or_nothing(describe: Any, obj: Any) -> dict[str, Any]:
    """Figures and tables of any kind and version come here: what can't be described still has its other formats."""
    try:
        return describe(obj)
    except Exception:
        return {}


class ListFormatter(JSONFormatter):
    """Lists and dictionaries as JSON, where JSON can say them."""

    def __call__(self, obj: Any) -> Any:
        if isinstance(obj, list | dict):
            import orjson

            try:
                plain = orjson.dumps(obj, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
            except TypeError:
                return None
            return orjson.loads(plain), {"expanded": True}
        return super().__call__(obj)


def load_ipython_extension(shell: Any) -> None:
    """Called by IPython at its start."""
    formatters = shell.display_formatter.formatters
    for formatter in (DataFormatter, ChartFormatter):
        made = formatter(parent=shell.display_formatter)
        formatters[made.format_type] = made
    formatters["application/json"] = ListFormatter(parent=shell.display_formatter)
    show_images(shell)
