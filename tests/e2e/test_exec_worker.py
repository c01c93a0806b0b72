"""The worker that runs any program, by itself: `penstock worker --exec` as the supervisor starts
it, with a server that does what a test wants. What users see of it is in test_run_exec.py."""

from __future__ import annotations

import json
import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.fake_engine import FakeEngine, Refusal
from harness.runtime_process import RuntimeProcess
from harness.server_process import binary

#: What every program here begins with.
HEAD = """
import json, os, signal, sys, time
def say(text):
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()
"""
ECHO = "for line in sys.stdin: say(line.rstrip())"
#: As most filters are: answers stay in a buffer until it is full or the input ends.
ECHO_BUFFERED = "for line in sys.stdin: sys.stdout.write(line)"


class Engine(FakeEngine):
    """A release ends the lease, so that a claim that waits is refused, as by the real one."""

    def release(self, body: Any, raw: str) -> dict[str, Any]:
        answer = super().release(body, raw)
        if body:
            self.lease = f"lease-{int(self.lease[6:]) + 1}"
        return answer


class Bench:
    """Starts a worker on a fake server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engines: list[FakeEngine] = []
        self.processes: list[RuntimeProcess] = []

    def engine(self, records: int | list[Any], **answer: Any) -> FakeEngine:
        if isinstance(records, int):
            records = [{"n": n} for n in range(records)]
        engine = Engine([json.dumps(record) for record in records], **answer)
        self.engines.append(engine)
        return engine

    def program(self, text: str) -> str:
        """The command of a Python program."""
        path = self.folder / f"program{len(self.processes)}.py"
        path.write_text(HEAD + text)
        return shlex.join([sys.executable, "-S", "-E", str(path)])

    def start(self, command: str, engine: FakeEngine, **orders: Any) -> RuntimeProcess:
        process = RuntimeProcess(self.folder, "--exec", command, command=[binary(), "worker"])
        self.processes.append(process)
        return process.go(engine.url, **orders)

    def run(self, command: str, engine: FakeEngine, **orders: Any) -> RuntimeProcess:
        """Until nothing is left."""
        process = self.start(command, engine, **orders)
        assert process.wait_for("bye")["reason"] == "finished"
        assert process.end() == 0
        return process

    def run_until_it_fails(self, command: str, engine: FakeEngine, **orders: Any) -> str:
        """Why the worker gave up."""
        process = self.start(command, engine, **orders)
        told = process.wait_for("failed")
        process.end()
        text: str = told["text"]
        assert not engine.held, "what it held was not given back"
        return text


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
    for engine in made.engines:
        engine.close()


def numbered(count: int) -> dict[int, Any]:
    return {n: {"n": n} for n in range(count)}


def test_every_record_gets_the_line_that_answers_it(bench: Bench) -> None:
    engine = bench.engine(500)
    process = bench.run(bench.program(ECHO), engine)
    assert engine.results == numbered(500)
    assert process.hello()["kind"] == "exec"
    assert process.wait_for("bye")["ran"] == 500
    assert process.wait_for("lease") == "lease-1"
    process.wait_for("ready")


def test_a_program_that_keeps_its_answers_until_its_input_ends(bench: Bench) -> None:
    engine = bench.engine(500)
    bench.run(bench.program(ECHO_BUFFERED), engine)
    assert engine.results == numbered(500)


def test_a_program_that_answers_only_when_it_has_read_all(bench: Bench) -> None:
    engine = bench.engine(["x" * 1_000_000] * 60)
    bench.run(bench.program("for line in sys.stdin.readlines(): say('1')"), engine)
    assert engine.results == dict.fromkeys(range(60), 1)


def test_answers_without_a_line_end_at_the_very_end_count(bench: Bench) -> None:
    engine = bench.engine(3)
    bench.run(bench.program("sys.stdout.write('\\n'.join(l.strip() for l in sys.stdin))"), engine)
    assert engine.results == numbered(3)


def test_an_empty_line_null_and_a_skip_write_nothing(bench: Bench) -> None:
    engine = bench.engine(["", "  ", "null", '{"penstock": {"skip": true}}', '{"a": 1}\r'])
    bench.run(bench.program("for line in sys.stdin: say(json.loads(line))"), engine)
    assert sorted(engine.skipped) == [0, 1, 2, 3]
    assert engine.results == {4: {"a": 1}}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("oops", {"type": "NotJson"}),
        ('{"a": 1}], [1, {"a": 2}', {"type": "NotJson"}),
        ("\u00ff", {"type": "NotJson"}),
        ('{"penstock": {"fail": "no \\u00e4"}}', {"message": "no ä"}),
        (
            '{ "penstock" : {"fail": "busy", "type": "Busy", "final": true,'
            ' "retry_after_s": 1.5, "throttled": true}}',
            {
                "message": "busy",
                "type": "Busy",
                "final": True,
                "retry_after_s": 1.5,
                "throttled": True,
            },
        ),
        ('{"penstock": {"fial": "no"}}', {"type": "BadAnswer"}),
        ('{"penstock": {"fail": 7}}', {"type": "BadAnswer"}),
        ('{"penstock": {"retry_after_s": 1}}', {"type": "BadAnswer"}),
        ('{"penstock": {"fail": "x", "retry_after_s": -1}}', {"type": "BadAnswer"}),
    ],
)
def test_an_answer_that_fails_its_record_and_no_other(
    bench: Bench, answer: str, reason: dict[str, Any]
) -> None:
    engine = bench.engine(["1", answer, "3"])
    program = "for line in sys.stdin: os.write(1, json.loads(line).encode('latin-1') + b'\\n')"
    process = bench.run(bench.program(program), engine)
    assert engine.results == {0: 1, 2: 3}
    assert reason.items() <= engine.failures[1].items()
    assert process.wait_for("log")["record"] == 1


def test_results_that_only_look_like_a_word_to_us_are_results(bench: Bench) -> None:
    answers = ['{"penstock": 1}', '{"penstock": {"skip": true}, "a": 1}', '{"a": {"penstock": {}}}']
    engine = bench.engine(answers)
    bench.run(bench.program("for line in sys.stdin: say(json.loads(line))"), engine)
    assert engine.results == {n: json.loads(text) for n, text in enumerate(answers)}


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGSEGV)"])
@pytest.mark.parametrize("buffered", [True, False])
def test_who_dies_on_a_record_fails_that_record_and_no_other(
    bench: Bench, end: str, buffered: bool
) -> None:
    engine = bench.engine(300)
    program = f"""
for line in sys.stdin:
    if json.loads(line)["n"] == 123:
        {end}
    sys.stdout.write(line)
    {"pass" if buffered else "sys.stdout.flush()"}
"""
    bench.run(bench.program(program), engine)
    assert engine.results == {n: r for n, r in numbered(300).items() if n != 123}
    assert list(engine.failures) == [123]
    assert engine.failures[123]["type"] == "ProgramDied"
    how = "exited with status 3" if "exit" in end else "killed by signal 11"
    assert how in engine.failures[123]["message"]


def test_a_program_that_takes_one_record_a_life(bench: Bench) -> None:
    engine = bench.engine(5)
    bench.run(bench.program("say(sys.stdin.readline().strip()); sys.exit(1)"), engine)
    assert engine.results == numbered(5)


def test_a_program_that_is_not_there(bench: Bench) -> None:
    engine = bench.engine(5)
    assert "cannot be run: no-such-program" in bench.run_until_it_fails("no-such-program x", engine)
    assert not engine.failures
    assert len(engine.todo) == 5


@pytest.mark.parametrize("program", ["sys.exit(3)", "sys.stdin.readline(); sys.exit(3)"])
def test_a_program_that_never_works_spoils_no_more_than_a_few_records(
    bench: Bench, program: str
) -> None:
    engine = bench.engine(50)
    why = bench.run_until_it_fails(bench.program(program), engine)
    assert "exited with status 3" in why
    assert "again and again" in why
    assert len(engine.failures) <= 5


@pytest.mark.parametrize("program", ["say(line.strip()); say('1')", "say('1'); say(line.strip())"])
def test_more_lines_than_records_end_the_worker(bench: Bench, program: str) -> None:
    engine = bench.engine(3)
    why = bench.run_until_it_fails(bench.program(f"for line in sys.stdin: {program}"), engine)
    assert "more lines than it was given records" in why


def test_a_line_that_answers_nothing_ends_the_worker(bench: Bench) -> None:
    engine = bench.engine(3)
    why = bench.run_until_it_fails(bench.program("say('hello')\n" + ECHO), engine)
    assert "more lines than it was given records" in why


def test_fewer_lines_than_records_end_the_worker(bench: Bench) -> None:
    engine = bench.engine(20)
    program = "for line in sys.stdin: '1' in line and say(line.strip())"
    why = bench.run_until_it_fails(bench.program(program), engine)
    assert "one line for each" in why


def test_a_record_that_hangs_is_given_up(bench: Bench) -> None:
    engine = bench.engine(50)
    program = """
for line in sys.stdin:
    if json.loads(line)["n"] == 7:
        time.sleep(3600)
    say(line.strip())
"""
    bench.run(bench.program(program), engine, timeout_s=0.3)
    assert engine.results == {n: r for n, r in numbered(50).items() if n != 7}
    assert engine.failures[7]["type"] == "Timeout"
    assert engine.failures[7]["message"] == "no answer within 0.3 s"


def test_a_record_that_hangs_in_a_program_with_a_buffer_is_found(bench: Bench) -> None:
    engine = bench.engine(20)
    program = """
for line in sys.stdin:
    if json.loads(line)["n"] == 7:
        time.sleep(3600)
    sys.stdout.write(line)
"""
    bench.run(bench.program(program), engine, timeout_s=0.5)
    assert engine.results == {n: r for n, r in numbered(20).items() if n != 7}
    assert engine.failures[7]["type"] == "Timeout"


def test_a_program_that_closes_its_output(bench: Bench) -> None:
    engine = bench.engine(4)
    program = """
for line in sys.stdin:
    if json.loads(line)["n"] == 2:
        os.close(1)
        time.sleep(3600)
    say(line.strip())
"""
    bench.run(bench.program(program), engine)
    assert engine.results == {n: r for n, r in numbered(4).items() if n != 2}
    assert "closed its output" in engine.failures[2]["message"]


def test_an_answer_that_is_too_long(bench: Bench) -> None:
    engine = bench.engine(3)
    program = """
for line in sys.stdin:
    say(line.strip() if json.loads(line)["n"] != 1 else '"' + 'x' * (70 << 20) + '"')
"""
    bench.run(bench.program(program), engine)
    assert engine.results == {0: {"n": 0}, 2: {"n": 2}}
    assert engine.failures[1]["type"] == "TooLong"
    assert engine.failures[1]["final"] is True


def test_long_records_and_answers_go_through(bench: Bench) -> None:
    records = ["x" * (n << 20) for n in (0, 3, 1, 5, 0)]
    engine = bench.engine(records)
    bench.run(bench.program(ECHO), engine)
    assert engine.results == dict(enumerate(records))


def test_what_it_prints_on_standard_error_passes_through(bench: Bench) -> None:
    engine = bench.engine(1)
    process = bench.run(bench.program("print('hello you', file=sys.stderr)\n" + ECHO), engine)
    assert "hello you" in process.output()


# How many lines came with each read: what was in its hands at once.
COUNT = """
got, left = b"", b""
while got := os.read(0, 1 << 20):
    lines = (left + got).split(b"\\n")
    left = lines.pop()
    for line in lines: say(str(len(lines)))
"""


def test_no_more_records_are_in_its_hands_than_there_are_slots(bench: Bench) -> None:
    engine = bench.engine(40, slots=2)
    bench.run(bench.program(COUNT), engine)
    assert set(engine.results) == set(range(40))
    assert set(engine.results.values()) <= {1, 2}


def test_records_start_no_sooner_than_they_are_due(bench: Bench) -> None:
    engine = bench.engine(8, starts={"first_s": 0.02, "every_s": 0.05})
    bench.run(bench.program("for line in sys.stdin: say(str(time.monotonic()))"), engine)
    # The first is seen late, as the program itself has to start.
    assert engine.results[7] - engine.results[1] >= 0.2


@pytest.mark.parametrize("others", [False, True])
def test_what_is_late_is_given_back_when_others_are_about(bench: Bench, others: bool) -> None:
    """They have kept to their times meanwhile: it may be started by none but who is alone."""
    engine = bench.engine(4, slots=1, starts={"first_s": 0.0, "every_s": 0.001})
    engine.alone_s = 0.0 if others else 600.0
    # The second is held while the first runs, and its time passes.
    bench.run(bench.program("for line in sys.stdin: time.sleep(0.02); say(line.strip())"), engine)
    assert engine.results == numbered(4)
    holds = [body["holds"] for verb, body, _ in engine.calls if "holds" in body]
    assert bool(holds) == others
    # What it had been given beside the first, which may be on its way back, is not among them.
    assert not holds or set(holds[0]) <= {0}


def test_a_record_that_is_to_run_alone_does(bench: Bench) -> None:
    engine = bench.engine(6, alone=True)
    engine.most = 1
    bench.run(bench.program(COUNT), engine)
    assert engine.results == dict.fromkeys(range(6), 1)


def test_records_alone_in_a_program_with_a_buffer_cost_no_patience(bench: Bench) -> None:
    engine = bench.engine(40, alone=True)
    engine.most = 1
    process = bench.start(bench.program(ECHO_BUFFERED), engine)
    assert process.wait_for("bye")["reason"] == "finished"
    assert engine.results == numbered(40)
    waits = [b - a for (_, _, a), (_, _, b) in zip(engine.calls, engine.calls[1:], strict=False)]
    assert sum(wait >= 0.3 for wait in waits) < 20


def test_records_of_a_lost_worker_go_together_and_with_nothing_else(bench: Bench) -> None:
    """One by one they would take a day when there are many."""
    engine = bench.engine(48)
    engine.most = 16

    def before(verb: str, body: Any) -> None:
        engine.answer["alone"] = sum(call[0] == "claim" for call in engine.calls) > 1

    engine.before = before
    bench.run(bench.program(COUNT), engine)
    assert set(engine.results) == set(range(48))
    assert max(engine.results.values()) > 2
    settled = [
        [n for n, _ in body["results"]] for verb, body, _ in engine.calls if verb == "settle"
    ]
    # The first two claims were ordinary ones.
    assert all(max(part) < 4 or min(part) >= 4 for part in settled), "not together with the others"
    assert max(settled[0]) < 4, "what was claimed before is settled first"


def test_what_waits_to_run_alone_keeps_no_answer_in_a_buffer(bench: Bench) -> None:
    engine = bench.engine(20)

    def before(verb: str, body: Any) -> None:
        engine.answer["alone"] = sum(call[0] == "claim" for call in engine.calls) > 1

    engine.before = before
    bench.run(bench.program(ECHO_BUFFERED), engine)
    assert engine.results == numbered(20)


def test_beside_other_processes_it_takes_its_part_alone(bench: Bench) -> None:
    """A process that is stuck must not have everything in its hands."""
    engine = bench.engine(40, slots=6)
    bench.run(bench.program(COUNT), engine, slots_hint=2)
    assert set(engine.results) == set(range(40))
    assert set(engine.results.values()) <= {1, 2}


def gate(folder: Path) -> tuple[Path, str]:
    """A file, and a program that answers its first records only when the file is there."""
    path = folder / "gate"
    return (
        path,
        f"""
for line in sys.stdin:
    open({str(path)!r} + ".reached", "w").close()
    while not os.path.exists({str(path)!r}): time.sleep(0.01)
    say(line.strip())
""",
    )


def wait_until(what: Callable[[], bool]) -> None:
    done = threading.Event()
    for _ in range(6000):
        if what():
            return
        done.wait(0.01)
    raise AssertionError("it does not come to that")


def test_a_stop_lets_what_runs_finish_and_gives_the_rest_back(bench: Bench, tmp_path: Path) -> None:
    path, program = gate(tmp_path)
    engine = bench.engine(["x" * 100000] * 200)
    process = bench.start(bench.program(program), engine)
    wait_until(lambda: Path(f"{path}.reached").exists())
    process.tell(stop={"grace_s": 60})
    path.touch()
    assert process.wait_for("bye")["reason"] == "stopped"
    assert process.end() == 0
    assert 0 < len(engine.results) < 200
    assert not engine.held
    assert not engine.failures


def test_a_stop_without_grace_ends_it_at_once(bench: Bench, tmp_path: Path) -> None:
    path, program = gate(tmp_path)
    engine = bench.engine(50)
    process = bench.start(bench.program(program), engine)
    wait_until(lambda: Path(f"{path}.reached").exists())
    process.tell(stop={"grace_s": 0})
    assert process.wait_for("bye")["reason"] == "stopped"
    assert len(engine.todo) == 50


def test_the_program_does_not_outlive_the_supervisor(bench: Bench, tmp_path: Path) -> None:
    engine = bench.engine(2)
    mark = tmp_path / "pid"
    program = f"open({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(3600)"
    process = bench.start(bench.program(program), engine)
    wait_until(lambda: mark.exists() and mark.read_text() != "")
    process.socket.close()
    assert process.process.wait(60) == 0
    wait_until(lambda: not Path(f"/proc/{mark.read_text()}").exists())


def test_a_lease_that_ended_is_begun_again(bench: Bench, tmp_path: Path) -> None:
    path, program = gate(tmp_path)
    engine = bench.engine(30)
    process = bench.start(bench.program(program), engine)
    wait_until(lambda: Path(f"{path}.reached").exists())
    engine.end_lease()
    path.touch()
    assert process.wait_for("bye")["reason"] == "finished"
    assert engine.results == numbered(30)
    assert process.wait_for("lease") == "lease-1"
    process.wait_for("log", "the lease has ended")


def refuse_once(engine: FakeEngine, *verbs: str, status: int = 503) -> None:
    left = list(verbs)

    def before(verb: str, body: Any) -> None:
        if verb in left:
            left.remove(verb)
            raise Refusal(status, "busy")

    engine.before = before


def test_what_a_server_in_trouble_refuses_is_sent_again(bench: Bench) -> None:
    engine = bench.engine(100)
    refuse_once(engine, "claim", "settle", "settle", "claim")
    bench.run(bench.program(ECHO), engine)
    assert engine.results == numbered(100)


def test_after_a_claim_without_an_answer_the_server_is_told_what_is_held(bench: Bench) -> None:
    engine = bench.engine(100)
    engine.most = 10
    claims = 0

    def before(verb: str, body: Any) -> None:
        nonlocal claims
        claims += verb == "claim"
        if verb == "claim" and claims == 3:
            engine.claim(body, "")  # its answer is lost
            raise Refusal(503, "busy")
        if "holds" in body:
            for number in set(engine.held) - set(body["holds"]):
                engine.todo[number] = engine.held.pop(number)

    engine.before = before
    bench.run(bench.program(ECHO), engine)
    assert engine.results == numbered(100)
    assert any("holds" in body for _, body, _ in engine.calls)


def test_a_refusal_for_good_ends_the_worker(bench: Bench) -> None:
    engine = bench.engine(10)
    refuse_once(engine, "claim", status=404)
    assert "claim records" in bench.run_until_it_fails(bench.program(ECHO), engine)


def test_answers_too_long_for_the_server_go_in_parts(bench: Bench) -> None:
    engine = bench.engine([f"{n}" * 1000 for n in range(10)] + ["x" * 50000])

    def before(verb: str, body: Any) -> None:
        if verb == "settle" and len(json.dumps(body)) > 4000:
            raise Refusal(413, "limit")

    engine.before = before
    bench.run(bench.program(ECHO_BUFFERED), engine)
    assert set(engine.results) == set(range(10))
    assert engine.failures[10]["type"] == "TooLong"


def test_a_program_that_takes_too_much_memory_is_started_anew(bench: Bench) -> None:
    # More than a pipe holds: what is in it is still worked on.
    engine = bench.engine(["x" * 300_000] * 30)
    program = """
hoard = []
for line in sys.stdin:
    hoard.append(b"x" * (4 << 20))
    time.sleep(0.1)
    say(str(os.getpid()))
"""
    process = bench.run(bench.program(program), engine, max_memory_bytes=32 << 20)
    assert set(engine.results) == set(range(30))
    assert len(set(engine.results.values())) > 1
    process.wait_for("log", "memory")


def test_a_life_is_given_no_more_records_than_allowed(bench: Bench) -> None:
    engine = bench.engine(10)
    bench.run(bench.program("for line in sys.stdin: say(str(os.getpid()))"), engine, max_records=3)
    pids = list(engine.results.values())
    assert len(pids) == 10
    assert max(pids.count(pid) for pid in pids) <= 3


def test_a_worker_says_that_it_is_alive(bench: Bench, tmp_path: Path) -> None:
    path, program = gate(tmp_path)
    engine = bench.engine(1)
    process = bench.start(bench.program(program), engine, alive_s=0.05)
    process.wait_for("alive")
    path.touch()
    process.wait_for("bye")
