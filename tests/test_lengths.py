"""Functions that fit on a screen, files that hold one idea."""

from __future__ import annotations

import ast

from ddcore.base import paths

PACKAGES = ("ddcore", "analysis", "pages")
FUNCTION, FILE = 60, 400  # lines


def test_no_function_and_no_file_is_too_long():
    long = []
    for package in PACKAGES:
        for file in sorted((paths.PROJECT / package).rglob("*.py")):
            text = file.read_text()
            name = file.relative_to(paths.PROJECT)
            if text.count("\n") > FILE:
                long.append(f"{name}: {text.count(chr(10))} lines")
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines = node.end_lineno - node.lineno + 1
                    if lines > FUNCTION:
                        long.append(f"{name}: {node.name} has {lines} lines")
    assert not long, "\n".join(long)
