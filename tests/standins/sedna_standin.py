"""What Ianvs brings to a folder: the registry of its library, its way to load a file, and its two readers of data.

Only what is documented of them, so that the folders' own files can be run without Ianvs.
"""

import importlib
import json
import sys
import types
from pathlib import Path

import numpy as np


class ClassType:
    GENERAL = "general"


class ClassFactory:
    registry: dict = {}  # noqa: RUF012

    @classmethod
    def register(cls, type_name=ClassType.GENERAL, alias=None):
        def keep(made):
            cls.registry.setdefault(type_name, {})[alias or made.__name__] = made
            return made

        return keep

    @classmethod
    def get_cls(cls, type_name, t_cls_name=None):
        if t_cls_name not in cls.registry.get(type_name, {}):
            raise ValueError(f"can't find class type {type_name} class name {t_cls_name} in class registry")
        return cls.registry[type_name][t_cls_name]


def install(monkeypatch):
    """Make ``from sedna.common.class_factory import …`` work, with an empty registry; what is loaded is forgotten at the end."""
    monkeypatch.setattr(ClassFactory, "registry", {})
    found = types.ModuleType("sedna.common.class_factory")
    found.ClassFactory, found.ClassType = ClassFactory, ClassType
    for name in ("sedna", "sedna.common"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "sedna.common.class_factory", found)
    return ClassFactory


def load_module(url, monkeypatch):
    """Import a file by its name alone, with its folder first in the path, as Ianvs does. Returns what it registered."""
    folder, name = str(Path(url).parent.absolute()), Path(url).stem
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, name, raising=False)
    before = dict(ClassFactory.registry.get(ClassType.GENERAL, {}))
    sys.path.insert(0, folder)
    try:
        importlib.import_module(name)
    finally:
        sys.path.pop(0)
        sys.modules.pop(name, None)
    return {k: v for k, v in ClassFactory.registry[ClassType.GENERAL].items() if before.get(k) is not v}


class Data:
    """``train_data``, ``test_data`` (JSONL of question and answer) or ``test_data_info`` (metadata.json), as arrays of text."""

    def __init__(self, url):
        place = Path(url)
        if place.name == "metadata.json":
            about = json.loads(place.read_text(encoding="utf-8"))
            self.about = [about[key] for key in ("dataset", "description", "level_1_dim", "level_2_dim")]
            self.need_other_info = True
            rows = _rows(place.with_name("data.jsonl"))
            pairs = [(row.get("prompt", "") + row["query"], row["response"]) for row in rows]
            self.level_3 = np.array([row["level_3_dim"] for row in rows])
            self.level_4 = np.array([row["level_4_dim"] for row in rows])
        else:
            pairs = [(row["question"], row["answer"]) for row in _rows(place)]
        self.x, self.y = np.array([x for x, _ in pairs]), np.array([y for _, y in pairs])


def _rows(place):
    return [json.loads(line) for line in place.open(encoding="utf-8")]
