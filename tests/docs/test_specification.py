"""Every sentence of the specification is proved by a test that names it, and no test names another."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPECIFICATION = ROOT / "docs" / "specification.md"

SECTION = re.compile(r"^## ([A-Z]): ", re.MULTILINE)
SENTENCE = re.compile(r"^([A-Z])([1-9][0-9]*)\. +(\S.*)", re.MULTILINE)


def sections() -> dict[str, str]:
    """The text of each section, by its letter."""
    parts = SECTION.split(SPECIFICATION.read_text(encoding="utf-8"))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def sentences() -> list[str]:
    """The numbers of all sentences, as "C7"."""
    return [letter + number for text in sections().values() for letter, number, _ in SENTENCE.findall(text)]


def citations() -> dict[str, list[str]]:
    """For each number that a test cites, the tests that do."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for test, number in cited_in(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(number, []).append(f"{path.relative_to(ROOT).as_posix()}::{test}")
    return found


def cited_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each test of a module with each number that it cites, by its own mark, its class's or the module's."""
    module = [number for node in tree.body for number in _module_marks(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            marks = [number for decorator in node.decorator_list for number in _marks(decorator)]
            yield from ((node.name, number) for number in marks)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = [number for decorator in node.decorator_list for number in _marks(decorator)]
            yield from ((node.name, number) for number in marks + module)


def _module_marks(node: ast.stmt) -> list[str]:
    """The numbers in ``pytestmark = …``."""
    if not isinstance(node, ast.Assign) or not any(
        isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
    ):
        return []
    return [number for inner in ast.walk(node.value) for number in _marks(inner)]


def _marks(node: ast.AST) -> list[str]:
    """The numbers in ``pytest.mark.spec(…)``; each must stand there as a plain string."""
    if not isinstance(node, ast.Call):
        return []
    if isinstance(node.func, ast.Attribute) and node.func.attr == "param":  # pytest.param(…, marks=…)
        return []
    if ast.unparse(node.func) != "pytest.mark.spec":
        return []
    numbers = [ast.literal_eval(argument) for argument in node.args]
    assert numbers, f"line {node.lineno}: a spec mark without a number"
    return numbers


def test_sentences_are_numbered_without_gaps_in_their_own_sections():
    for letter, text in sections().items():
        found = SENTENCE.findall(text)
        assert {of for of, _, _ in found} <= {letter}, f"section {letter} has sentences of another"
        assert [int(number) for _, number, _ in found] == list(range(1, len(found) + 1)), f"section {letter}"


def test_sections_are_named_once():
    letters = SECTION.findall(SPECIFICATION.read_text(encoding="utf-8"))

    assert len(letters) == len(set(letters)) > 0


def test_each_sentence_is_cited_by_a_test():
    cited = citations()

    assert [number for number in sentences() if number not in cited] == []


def test_each_cited_number_exists():
    known = set(sentences())

    assert {number: tests for number, tests in citations().items() if number not in known} == {}


@pytest.mark.parametrize(
    ("source", "numbers"),
    [
        ('@pytest.mark.spec("C1", "C2")\ndef test_a(): ...', [("test_a", "C1"), ("test_a", "C2")]),
        ('@pytest.mark.spec("C1")\ndef helper(): ...', []),
        ('pytestmark = pytest.mark.spec("C3")\ndef test_a(): ...', [("test_a", "C3")]),
        ('pytestmark = [pytest.mark.spec("C3")]\ndef test_a(): ...', [("test_a", "C3")]),
        ('# @pytest.mark.spec("C1")\ndef test_a(): ...', []),
    ],
)
def test_citations_are_read_from_the_syntax(source, numbers):
    assert list(cited_in(ast.parse(source))) == numbers
