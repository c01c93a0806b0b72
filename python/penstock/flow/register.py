"""The nodes of a flow that a script makes, without a list of them in a file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

_MEMBERS = {
    "name",
    "module",
    "worker",
    "logfile",
    "dependencies",
    "arguments",
    "argv",
    "max_attempts",
    "retries",
    "retry_wait_time",
    "timeout",
    "id",
    "named_deps",
    "status",
}


class NodeRegister:
    """Nodes in the order in which they were added, which gives them their numbers, from 1 on."""

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self.tasks)

    def add_node(self, **node: Any) -> bool:
        """Adds one; True. ValueError says what is wrong; TypeError: there is no such member.

        name, module and worker must be given; dependencies are names of nodes, added before or
        after this one; arguments a list, or text with commas.
        """
        unknown = node.keys() - _MEMBERS
        if unknown:
            raise TypeError(f"a node has no {', '.join(sorted(unknown))}")
        missing = [name for name in ("name", "module", "worker") if not node.get(name)]
        if missing:
            raise ValueError(f"the node lacks {', '.join(missing)}: {node}")
        name = str(node["name"])
        if name in self.tasks:
            raise ValueError(f"there is a node {name} already")
        self.tasks[name] = _task(node)
        return True

    def find_node(self, name: str) -> int:
        """Its number. KeyError: there is none."""
        for number, known in enumerate(self.tasks, 1):
            if known == name:
                return number
        raise KeyError(name)

    def text(self) -> str:
        """As a task list in JSON."""
        return json.dumps({"tasks": self.tasks}, indent=1)


def _task(node: dict[str, Any]) -> dict[str, Any]:
    task: dict[str, Any] = {"module": str(node["module"]), "worker": str(node["worker"])}
    dependencies = _words(node.get("dependencies"))
    # PyRunner's own name for no parent.
    dependencies = [name for name in dependencies if name not in ("PyRunnerRootNode", "-1")]
    if dependencies:
        task["dependencies"] = dependencies
    arguments = _words(node.get("arguments") or node.get("argv"))
    if arguments:
        task["arguments"] = arguments
    attempts = node.get("max_attempts") or node.get("retries")
    if attempts:
        task["max_attempts"] = int(attempts)
    for name in ("retry_wait_time", "timeout"):
        if node.get(name):
            task[name] = float(node[name])
    if node.get("logfile"):
        task["logfile"] = str(node["logfile"])
    return task


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    if isinstance(value, Iterable):
        return [str(word) for word in value]
    return [str(value)]
