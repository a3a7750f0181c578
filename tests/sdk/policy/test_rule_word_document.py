"""docs/rule-word.md says what the code does."""

import re
from pathlib import Path

import pytest

from medproof.policy.evaluation import Reason
from medproof.policy.word import FLAGS, LAYOUT, Field

DOCUMENT = Path(__file__).parents[3] / "docs" / "rule-word.md"


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, without its head."""
    text = DOCUMENT.read_text(encoding="utf-8").split(f"\n{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table is not None
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


def test_the_layout_is_the_one_in_the_code() -> None:
    assert rows("## Layout") == [
        [f"{field.offset}..{field.offset + field.width - 1}", field.name, str(field.width), field.meaning]
        for field in LAYOUT
    ]


def test_the_flags_are_those_in_the_code() -> None:
    assert rows("### Flags") == [[str(flag.offset), flag.name, flag.meaning] for flag in FLAGS]


@pytest.mark.parametrize("field", [field for field in LAYOUT if field.codes], ids=lambda field: field.name)
def test_the_codes_are_those_in_the_code(field: Field) -> None:
    assert field.codes is not None
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"`{field.codes.system.uri}`, version {field.codes.system.version}." in text
    table = rows(f"### `{field.name}`")
    for n, (row, member) in enumerate(zip(table, field.codes, strict=True)):
        assert row[:3] == [str(n), str(field.offset + n), member.code]
        assert row[-1] == member.display


def test_every_reason_is_in_the_evaluation_tables() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [reason.name for reason in Reason if f"`{reason.name}` ({reason.value})" not in text] == []
