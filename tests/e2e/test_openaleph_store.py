"""The entity store: what replaces, what merges, and what cannot be stored is an error."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from followthemoney import model
from harness.openaleph_case import OpenAlephCase
from penstock.errors import PenstockError
from penstock.openaleph import helpers
from penstock.openaleph.exceptions import InvalidEntity
from penstock.openaleph.tracer import Tracer
from penstock.openaleph.util import get_page_entity_fragments


def person(id: str | None, *names: str, schema: str = "Person", **context: Any) -> dict[str, Any]:
    return {"id": id, "schema": schema, "properties": {"name": list(names)}, **context}


def test_the_same_triple_replaces_and_others_merge(openaleph: OpenAlephCase) -> None:
    with helpers.entity_writer("d") as bulk:
        bulk.put(person("a", "Old"))
        bulk.put(person("a", "New"))
        bulk.put(person("a", "Other"), fragment="f")
        bulk.put(model.get_proxy(person("a", "Third", "New")), origin="o", fragment="f")
        assert sorted(bulk.get("a").get("name")) == ["New", "Other", "Third"]  # type: ignore[union-attr]
        assert bulk.get("b") is None
    with helpers.entity_writer("other") as bulk:
        assert bulk.get("a") is None


def test_the_schema_is_the_most_specific_that_is_shared(openaleph: OpenAlephCase) -> None:
    with helpers.entity_writer("d") as bulk:
        bulk.put(person("a", "Thing", schema="LegalEntity"), fragment="1")
        bulk.put(person("a", "Person", schema="Person"), fragment="2")
        bulk.put(person("a", "Thing", schema="Thing"), fragment="3")
        merged = bulk.get("a")
        assert merged is not None and merged.schema.name == "Person"
        assert sorted(merged.get("name")) == ["Person", "Thing"]
        bulk.put(person("a", "Car", schema="Vehicle"), fragment="4")
        with pytest.raises(InvalidEntity, match=r"fragment '4' .* 'a' a Vehicle, others a Person"):
            bulk.get("a")
        bulk.delete("a")
        assert bulk.get("a") is None


def test_what_stands_beside_the_properties_is_merged_too(openaleph: OpenAlephCase) -> None:
    with helpers.entity_writer("d") as bulk:
        bulk.put(person("a", "A", datasets=["x"], first_seen="2020"), fragment="1")
        bulk.put(person("a", "B", datasets=["y"]), fragment="2")
        merged = bulk.get("a")
        assert merged is not None
        assert merged.context["datasets"] == ["x", "y"]
        assert merged.context["first_seen"] == ["2020"]


def test_a_dataset_is_read_in_order_of_ids_in_portions(openaleph: OpenAlephCase) -> None:
    ids = [f"{n:05}" for n in range(2500)]
    with helpers.entity_writer("d") as bulk:
        for id, fragment in itertools.product(reversed(ids), ("1", "2")):
            bulk.put(person(id, fragment), fragment=fragment)
    with helpers.entity_writer("d") as bulk:
        entities = list(bulk.iterate())
        assert [entity.id for entity in entities] == ids
        assert all(sorted(entity.get("name")) == ["1", "2"] for entity in entities)
        assert list(bulk.iterate([])) == []
        some = ["02400", "nobody", "00007", "00007"]
        assert [entity.id for entity in bulk.iterate(some)] == ["00007", "02400"]
        assert [e.id for e in helpers.load_entities("d", iter(ids))] == ids


def test_put_is_stored_when_the_block_is_left_on_an_error_too(openaleph: OpenAlephCase) -> None:
    with pytest.raises(KeyError), helpers.entity_writer("d") as bulk:
        bulk.put(person("a", "A"))
        raise KeyError
    assert helpers.load_entity("d", "a") is not None


def test_every_thousandth_put_flushes(openaleph: OpenAlephCase) -> None:
    bulk = helpers.entity_writer("d")
    for n in range(1001):
        bulk.put(person(f"{n}", "A"))
    assert len(list(helpers.load_entities("d", (f"{n}" for n in range(1001))))) == 1000
    bulk.close()
    assert helpers.load_entity("d", "1000") is not None


def test_what_cannot_be_stored_is_an_error_and_stays(
    openaleph: OpenAlephCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert openaleph.server is not None
    connection = openaleph.app.client._connection
    monkeypatch.setattr(connection, "_reach", connection._reach._replace(patience_s=0.2))
    bulk = helpers.entity_writer("d")
    with pytest.raises(PenstockError), bulk:
        bulk.put(person("a", "A"))
        openaleph.server.kill()
    openaleph.server.start()
    bulk.flush()
    assert helpers.load_entity("d", "a") is not None


@pytest.mark.parametrize(
    "bad",
    [person(None, "A"), person("", "A"), person("a", schema="Spaceship"), "a", {}],
)
def test_what_is_no_entity_is_refused(openaleph: OpenAlephCase, bad: Any) -> None:
    with helpers.entity_writer("d") as bulk:
        with pytest.raises(InvalidEntity):
            bulk.put(bad)
        bulk.put(person("good", "A"))
    assert helpers.load_entity("d", "good") is not None


def test_text_of_any_kind_comes_back(openaleph: OpenAlephCase) -> None:
    texts = ["a\x00b", "line\nline", "\u2028", "😀", "x" * 1_000_000]
    with helpers.entity_writer("a/b ü?#") as bulk:
        for n, text in enumerate(texts):
            entity = {"id": f"é{n}/ ", "schema": "Person", "properties": {"notes": [text]}}
            bulk.put(entity, fragment=f"f/{n} ü", origin="o?#")
    found = {entity.id: entity.first("notes") for entity in bulk.iterate()}
    assert found == {f"é{n}/ ": text for n, text in enumerate(texts)}
    bulk.delete("é0/ ", "o?#")
    bulk.delete(origin="another")
    assert len(list(bulk.iterate())) == len(texts) - 1
    bulk.delete()
    assert list(bulk.iterate()) == []


def test_pages_of_a_document_are_found_by_their_numbers(openaleph: OpenAlephCase) -> None:
    document = model.get_proxy({"id": "doc", "schema": "Pages", "properties": {}})
    with helpers.entity_writer("d") as bulk:
        for number in range(1, 1204):
            page = model.make_entity("Page")
            page.make_id(document.id, number)
            page.add("index", number)
            bulk.put(page)
    pages = get_page_entity_fragments("d", document)
    assert sorted(int(page.first("index") or 0) for page in pages) == list(range(1, 1204))


# --- the tracer ---


def test_a_traced_task_tells_which_entities_it_is_at(openaleph: OpenAlephCase) -> None:
    from penstock.openaleph.model import DatasetJob

    openaleph.write(
        """
        from penstock.openaleph.tracer import Tracer

        @task(app=app, tracer_uri="penstock://")
        async def my_task(job: DatasetJob) -> Defers:
            tracer = Tracer(job.dataset, job.queue, job.task)
            for entity in job.get_entities():
                note(f"{entity.id} {tracer.is_processing(entity.id)}")
            if "bad" in [entity.id for entity in job.get_entities()]:
                raise ValueError
            yield Job(queue="mylib", task="mylib.after")

        @task(app=app)
        def after(job: Job): ...
        """
    )
    tracer = Tracer("d", "mylib", "mylib.my_task")
    tracer.add("bad", "later")
    assert tracer.is_processing("later") and not tracer.is_processing("good")
    for ids in (["good", "fine"], ["bad"]):
        entities = [person(id, "A") for id in ids]
        DatasetJob.from_entities("d", "mylib", "mylib.my_task", entities).defer(openaleph.app)
    openaleph.work()
    assert sorted(openaleph.notes()) == ["bad True", "fine True", "good True"]
    assert not tracer.is_processing("good") and tracer.status("good") is None
    assert tracer.status("bad") == "failed" and not tracer.is_processing("bad")
    assert tracer.counts() == {"succeeded": 2, "failed": 1}
    tracer.clear()
    assert tracer.status("later") is None and tracer.counts() == {"succeeded": 0, "failed": 0}
