"""What a step's declaration says: schemas of annotations, docstrings, slots; and what it takes."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import sys
import typing
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import pytest
from harness.server_process import ROOT

sys.path.insert(0, str(ROOT / "python"))  # this tree's, installed or not
import penstock
from penstock import dataslot
from penstock.steps.declare import Step, steps_of
from penstock.steps.docstring import docs_of
from penstock.steps.schema import Schemas
from penstock.steps.slot_file import safe_name


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Tree:
    name: str
    size: int = 1
    children: list[Tree] = dataclasses.field(default_factory=list)


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Told(TypedDict):
    text: str


@dataclasses.dataclass
class Bounds:
    ge: int = 1
    description: str = "how many"


TEXT = {"type": "string"}
WHOLE = {"type": "integer"}


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (int, WHOLE),
        (Any, {}),
        (None, {"type": "null"}),
        (int | None, {"anyOf": [WHOLE, {"type": "null"}]}),
        (int | str, {"anyOf": [WHOLE, TEXT]}),
        (list[str], {"type": "array", "items": TEXT}),
        (set[int], {"type": "array", "items": WHOLE, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": WHOLE}),
        (
            tuple[int, str],
            {"type": "array", "prefixItems": [WHOLE, TEXT], "minItems": 2, "maxItems": 2},
        ),
        (dict[str, int], {"type": "object", "additionalProperties": WHOLE}),
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
        (datetime.date, {"type": "string", "format": "date"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (Path, {"type": "string", "format": "path"}),
        (Annotated[int, Bounds()], {**WHOLE, "description": "how many", "minimum": 1}),
        (Annotated[str, "a text"], {**TEXT, "description": "a text"}),
    ],
)
def test_annotations_become_schemas(kind: Any, schema: dict[str, Any]) -> None:
    assert Schemas().of(kind) == schema


def test_classes_are_described_once() -> None:
    schemas = Schemas()
    for kind in (Tree, Colour, Point, Told):
        assert schemas.of(kind) == {"$ref": f"#/$defs/{kind.__name__}"}
    tree = schemas.defs["Tree"]
    assert tree["required"] == ["name"] and tree["additionalProperties"] is False
    assert tree["properties"]["size"] == {"type": "integer", "default": 1}
    assert tree["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    assert schemas.defs["Colour"]["enum"] == ["red", "blue"]
    assert schemas.defs["Point"]["minItems"] == 1
    assert schemas.defs["Told"]["required"] == ["text"]
    with pytest.raises(TypeError, match="no JSON"):
        schemas.of(typing.IO)


@pytest.mark.parametrize(
    "text",
    [
        "Fits.\n\nWith care.\n\nArgs:\n    x (int): the first\n        of two\n    y: other\n\n"
        "Returns:\n    the sum\n",
        "Fits.\n\nWith care.\n\nParameters\n----------\nx : int\n    the first\n    of two\n"
        "y : int\n    other\n\nReturns\n-------\nint\n    the sum\n",
        "Fits.\n\nWith care.\n\n:param int x: the first\n    of two\n:param y: other\n"
        ":returns: the sum\n",
    ],
)
def test_docstrings_of_all_forms_are_read(text: str) -> None:
    def fit() -> None: ...

    fit.__doc__ = text
    docs = docs_of(fit)
    assert (docs.short, docs.long, docs.returns) == ("Fits.", "With care.", "the sum")
    assert docs.parameters == {"x": "the first of two", "y": "other"}


@penstock.step(version="1.2.3", title="Fitting")
@dataslot.input("table", media_type="text/csv", alias="data")
@dataslot.returns(media_type="image/png")
def fit(
    table: Path,
    degree: int,
    colour: Colour = Colour.RED,
    tree: Tree | None = None,
    odd: int = None,  # type: ignore[assignment]  # noqa: RUF013
) -> bytes:
    """Fits.

    Args:
        table: the numbers
        degree: of the polynomial
    """
    return b""


def declared() -> Step:
    (step,) = steps_of(fit, "here")
    return step


def test_a_manifest_says_all() -> None:
    told = declared().manifest()
    assert (told["function_name"], told["version"], told["title"]) == ("fit", "1.2.3", "Fitting")
    parameters = told["parameters"]
    assert list(parameters["properties"]) == ["degree", "colour", "tree", "odd"]
    assert parameters["required"] == ["degree"] and parameters["additionalProperties"] is False
    assert parameters["properties"]["degree"]["description"] == "of the polynomial"
    assert parameters["properties"]["colour"]["default"] == "red"
    # None is no whole number: only the function may use it.
    assert "default" not in parameters["properties"]["odd"]
    (table,) = told["input_dataslots"]
    assert (table["name"], table["description"], table["minSlots"]) == ("data", "the numbers", 1)
    (returned,) = told["output_dataslots"]
    assert (returned["name"], returned["mediatype"]) == ("__returns__", "image/png")
    assert told["returns"]["properties"]["value"] == {"type": "null"}


def test_parameters_are_converted_and_named_in_errors() -> None:
    read = declared().parameters.read
    made = read({"degree": 1, "colour": "blue", "tree": {"name": "a", "children": [{"name": "b"}]}})
    assert made["colour"] is Colour.BLUE and made["tree"].children == [Tree("b")]
    for given, said in (
        ({}, "fit: parameter 'degree' is missing"),
        ({"degree": "x"}, "fit: parameter degree must be a whole number, not 'x'"),
        ({"degree": 1, "more": 2}, "fit: there is no parameter 'more'"),
        ({"degree": 1, "tree": {"name": 3}}, "fit: parameter tree.name"),
        ({"degree": 1, "colour": "green"}, "fit: parameter colour must be one of 'red', 'blue'"),
    ):
        with pytest.raises(penstock.ArgumentsError, match=said):
            read(given)


def test_slots_that_cannot_be_are_refused() -> None:
    for make in (
        lambda: dataslot.input(""),
        lambda: dataslot("x", min_slots=3, max_slots=2),
        lambda: dataslot("x", writer=lambda file, value: None),
        lambda: dataslot("x", collection_reader=list),
        lambda: dataslot("__returns__"),
    ):
        with pytest.raises(ValueError, match=r"slot|output|input"):
            make()
    with pytest.raises(NameError):
        dataslot.input("table")(fit)


def test_an_output_without_an_annotation_is_refused() -> None:
    @penstock.step(version="1.0.0")
    @dataslot.output("to")
    def write(to):  # type: ignore[no-untyped-def]
        to.write_text("x")

    with pytest.raises(penstock.InvalidError, match="write: output 'to' needs an annotation"):
        steps_of(write, "here")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.csv", "a.csv"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("..", "file"),
        ("", "file"),
        ("a\0b\n", "a_b_"),
        ("x" * 300 + ".csv", "x" * 196 + ".csv"),
        ("ä" * 300, "ä" * 100),
    ],
)
def test_names_of_files_stay_in_their_folder(name: str, safe: str) -> None:
    assert safe_name(name) == safe
