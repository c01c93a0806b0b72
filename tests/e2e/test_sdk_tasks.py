"""What a coroutine sees of the task that it runs in: as if it had one of its own."""

from __future__ import annotations

from harness.runtime_case import RuntimeCase

RECORDS = [{"id": n} for n in range(200)]


def test_context_variables_do_not_leak_into_other_records(case: RuntimeCase) -> None:
    source = """
        import asyncio, contextvars
        var = contextvars.ContextVar("var", default=None)

        async def process_record(record, context):
            before = var.get()
            var.set(record["id"])
            if record["id"] % 3 == 0:
                await asyncio.sleep(0.001)
            inside = await asyncio.create_task(seen()) if record["id"] % 5 == 0 else var.get()
            return [before, inside]

        async def seen():
            return var.get()
    """
    engine = case.run(source, RECORDS)
    assert engine.results == {n: [None, n] for n in range(200)}


def test_each_record_is_in_a_task_that_can_be_cancelled_alone(case: RuntimeCase) -> None:
    source = """
        import asyncio
        tasks = {}

        async def process_record(record, context):
            task = asyncio.current_task()
            n = record["id"]
            tasks[n] = task
            if n % 10 == 1:
                task.cancel()      # and ends without waiting: nobody else is to feel it
                return n
            if n % 10 == 2:
                await asyncio.sleep(60)
            if n % 10 == 3:
                await asyncio.sleep(0)
                tasks[n - 1].cancel()
            if n % 10 == 4:
                task.cancel()
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    return "survived"
            await asyncio.sleep(0)
            return n
    """
    engine = case.run(source, RECORDS, slots=20)
    assert sorted(engine.failures) == list(range(2, 200, 10))
    assert {failure["type"] for failure in engine.failures.values()} == {"CancelledError"}
    for n, result in engine.results.items():
        assert result == ("survived" if n % 10 == 4 else n)
    assert len(engine.results) == 180


def test_timeouts_of_asyncio_work(case: RuntimeCase) -> None:
    source = """
        import asyncio, sys

        async def process_record(record, context):
            if record["id"] % 2:
                return "at once"
            try:
                if sys.version_info >= (3, 11):
                    async with asyncio.timeout(0.01):
                        await asyncio.sleep(60)
                else:
                    await asyncio.wait_for(asyncio.sleep(60), 0.01)
            except asyncio.TimeoutError:
                await asyncio.sleep(0.001)
                return "in time"
    """
    engine = case.run(source, RECORDS, slots=50)
    assert engine.results == {n: "at once" if n % 2 else "in time" for n in range(200)}


def test_task_groups_gather_and_locks_work(case: RuntimeCase) -> None:
    source = """
        import asyncio
        lock = None

        async def double(n):
            global lock
            lock = lock or asyncio.Lock()
            async with lock:
                await asyncio.sleep(0)
            return 2 * n

        async def process_record(record, context):
            found = await asyncio.gather(double(record["id"]), double(1))
            future = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(future.set_result, 3)
            in_thread = await asyncio.get_running_loop().run_in_executor(None, str, 4)
            return [*found, await future, in_thread]
    """
    engine = case.run(source, RECORDS[:50], slots=10)
    assert engine.results == {n: [2 * n, 2, 3, "4"] for n in range(50)}


def test_a_record_that_takes_too_long_fails_and_says_how_long(case: RuntimeCase) -> None:
    source = """
        import asyncio, time
        cleaned = []

        async def process_record(record, context):
            n = record["id"]
            try:
                if n == 1:
                    await asyncio.sleep(60)
                if n == 2:
                    try:
                        await asyncio.sleep(60)
                    except asyncio.CancelledError:
                        return "after all"
                if n == 3:
                    try:
                        await asyncio.sleep(60)
                    except asyncio.CancelledError:
                        raise OSError("connection torn down")
                await asyncio.sleep(0.001)
                return n
            finally:
                cleaned.append(n)
    """
    engine = case.run(source, RECORDS[:9], go={"timeout_s": 0.5})
    told = {"message": "took longer than 0.5 s", "type": "TimeoutError"}
    assert engine.failures == {1: told, 3: told}
    assert engine.results[2] == "after all"


def test_a_batch_that_takes_too_long_fails_all_its_records(case: RuntimeCase) -> None:
    source = """
        import asyncio

        async def process_record(records, context):
            await asyncio.sleep(60 if records[0]["id"] == 0 else 0)
            return [record["id"] for record in records]
    """
    engine = case.run(source, RECORDS[:6], "--batch-size", "3", go={"timeout_s": 0.5})
    assert sorted(engine.failures) == [0, 1, 2]
    assert engine.results == {3: 3, 4: 4, 5: 5}


def test_a_thread_that_takes_too_long_fails_its_record_and_the_process_is_replaced(
    case: RuntimeCase,
) -> None:
    source = """
        import threading

        def process_record(record, context):
            threading.Event().wait(None if record["id"] == 3 else 0.02)
            return record["id"]
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS, slots=2)
    process = case.start().go(engine.url, timeout_s=0.5)
    assert process.end() == 0
    assert process.said[-1]["bye"]["reason"] == "recycle"
    assert engine.failures == {3: {"message": "took longer than 0.5 s", "type": "TimeoutError"}}
    assert {3, *engine.results, *engine.todo} == set(range(200))
    assert engine.results and engine.todo and not engine.held


def test_sockets_get_their_due_beside_a_function_that_never_waits(case: RuntimeCase) -> None:
    source = """
        import time

        async def process_record(record, context):
            time.sleep(0.002)
            return time.monotonic()
    """
    case.file("task.py", source)
    engine = case.engine(RECORDS)
    process = case.start().go(engine.url)
    assert process.end() == 0
    settles = [at for verb, _, at in engine.calls if verb == "settle"]
    # 0.4 s of work: had it been run in one go, one settle would have come of it.
    assert len(settles) > 10
    # Nobody waits for a settle while other records run.
    first = engine.results[0]
    assert min(settles) - first < max(engine.results.values()) - first
