"""Prints the public methods of the SDK's classes as JSON, names in camel case: surface.py sync | async."""

import dataclasses
import enum
import inspect
import json
import re
import sys

import e2b

flavor = sys.argv[1]
package = f"e2b.sandbox_{flavor}"


def camel_case(name):
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def methods_of(cls):
    statics, methods = set(), set()
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        if name.startswith("_"):
            continue
        if inspect.isfunction(member):
            methods.add(name)
        elif isinstance(member, (classmethod, staticmethod)):
            statics.add(name)
        elif hasattr(member, "__get__") and not isinstance(member, property) and callable(getattr(cls, name)):
            # Called on the class with an id, on an object without.
            statics.add(name)
            methods.add(name)
    return {
        # Both flavors' classes have the blocking one's name here.
        "name": re.sub(r"^Async", "", cls.__name__),
        "statics": sorted(map(camel_case, statics)),
        "methods": sorted(map(camel_case, methods)),
    }


def is_of_flavor(cls):
    """Classes that are exported for both flavors differ by a prefix; those without a twin belong to both."""
    name = cls.__name__
    has_twin = hasattr(e2b, f"Async{name}") or (name.startswith("Async") and hasattr(e2b, name[5:]))
    if not has_twin and not name.startswith("Async"):
        return True
    return name.startswith("Async") == (flavor == "async")


def is_of_interest(cls):
    return not (dataclasses.is_dataclass(cls) or issubclass(cls, (BaseException, enum.Enum, dict)))


modules = [e2b.AsyncSandbox if flavor == "async" else e2b.Sandbox]
for name in ("commands", "files", "pty", "git"):
    getter = inspect.getattr_static(modules[0], name).fget
    modules.append(inspect.signature(getter, eval_str=True).return_annotation)
exported = [value for value in (getattr(e2b, name) for name in e2b.__all__) if inspect.isclass(value)]
exported = [cls for cls in exported if cls.__module__.startswith("e2b.") and is_of_interest(cls) and is_of_flavor(cls)]
classes = {cls.__name__: cls for cls in exported + modules}
if flavor == "async":
    # The package exports the blocking one under the name that both have.
    classes["Git"] = modules[-1]
print(json.dumps([methods_of(cls) for cls in classes.values()]))
