"""Pillow's images: shown instead of opened in a viewer, and shown when they are saved to a file."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def show_images(shell: Any) -> None:
    """Changes Pillow as soon as somebody imports it."""
    sys.meta_path.insert(0, _WhenImported("PIL.Image", lambda module: _change_pillow(module, shell)))


def _change_pillow(module: ModuleType, shell: Any) -> None:
    image = module.Image
    save = image.save

    def display(shown: Any) -> None:
        from IPython.display import display as show

        show(shown)

    def save_and_show(self: Any, fp: Any, format: str | None = None, **options: Any) -> None:
        save(self, fp, format, **options)
        if isinstance(fp, str):
            display(self)

    def show(self: Any, title: str | None = None) -> None:
        display(self)

    image.save = save_and_show
    image.show = show


class _WhenImported(MetaPathFinder):
    """Runs code once, right after a module has been imported for the first time."""

    def __init__(self, name: str, then: Any):
        self._name = name
        self._then = then

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        loader, then = spec.loader, self._then
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            then(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
