"""Folders made for JsonlBatch, as they are: settings, and the modules that a task imports."""

from __future__ import annotations

from harness.runtime_case import RuntimeCase

# What the framework's own files look like, as far as it matters: they need packages that are not
# here, and one of them was extended by the user.
FRAMEWORK = {
    "logging_config.py": """
        import aiologger_that_is_not_here
        logger = aiologger_that_is_not_here.logger
    """,
    "utils.py": """
        import asyncio
        from logging_config import logger

        def retry_with_backoff(retries=3, initial_delay=1, backoff_factor=2):
            raise AssertionError("the framework's own")

        def of_mine(text):
            return text.upper()
    """,
    "main.py": "import aiologger_that_is_not_here",
    "processor.py": "import aiofiles_that_is_not_here",
    "config.py": """
        class Settings:
            INPUT_FILE: str = "data/ips.jsonl"
            OUTPUT_FILE: str = "data/ips_enriched.jsonl"
            ID_KEY: str = "ip"
            RERUN_KEY: str | None = None
            MAX_CONCURRENCY: int = 10
            REQUESTS_PER_MINUTE: int = 120
            MY_OWN = "kept"

        settings = Settings()
    """,
}

TASK = """
    from typing import Any, Dict
    from config import settings
    from logging_config import logger
    from utils import retry_with_backoff

    async def on_startup() -> Dict[str, Any]:
        await logger.info("begins")
        return {}

    async def on_shutdown(context: Dict[str, Any]):
        pass

    @retry_with_backoff(retries=2, initial_delay=5)
    async def process_record(record: Dict[str, Any], context: dict) -> Dict[str, Any] | None:
        from utils import of_mine
        await logger.warning("record %s", record["ip"])
        logger.debug("not wanted")
        record["country"] = of_mine("here")
        record["settings"] = [settings.MY_OWN, settings.MAX_RETRIES, settings.LOG_FILE]
        record["session"] = type(context["session"]).__name__
        return record
"""


def lay_out(case: RuntimeCase, **changed: str) -> None:
    """A folder of the framework, with the files that the user changed."""
    for name, source in {**FRAMEWORK, "task.py": TASK, **changed}.items():
        case.file(f"job/{name}", source)


def test_an_unchanged_folder_runs_without_the_framework_s_packages(case: RuntimeCase) -> None:
    lay_out(case)
    engine = case.engine([{"ip": "8.8.8.8"}])
    process = case.start("job").go(engine.url)
    assert process.end() == 0
    hello = process.hello()
    assert hello["settings"] == {
        "INPUT_FILE": "data/ips.jsonl",
        "OUTPUT_FILE": "data/ips_enriched.jsonl",
        "ID_KEY": "ip",
        "RERUN_KEY": None,
        "MAX_CONCURRENCY": 10,
        "REQUESTS_PER_MINUTE": 120,
    }
    assert hello["retry"] == {"retries": 2, "delay_s": 5, "factor": 2.0}
    assert engine.results[0] == {
        "ip": "8.8.8.8",
        "country": "HERE",
        "settings": ["kept", 0, "logs/processor.log"],
        "session": "ClientSession",
    }
    logs = [message["log"] for message in process.said if "log" in message]
    assert {"level": "info", "text": "begins"} in logs
    assert {"level": "warning", "text": "record 8.8.8.8", "record": 0} in logs
    assert not any("not wanted" in log["text"] for log in logs)


def test_the_text_s_settings_without_an_instance_are_enough(case: RuntimeCase) -> None:
    config = 'class Settings:\n    OUTPUT_FILE = "o.jsonl"\n    LOG_LEVEL = "debug"'
    lay_out(case, **{"config.py": config})
    case.file("job/task.py", TASK.replace("settings.MY_OWN", "settings.INPUT_FILE"))
    engine = case.engine([{"ip": 1}])
    process = case.start("job").go(engine.url)
    assert process.end() == 0
    assert process.hello()["settings"] == {"OUTPUT_FILE": "o.jsonl", "LOG_LEVEL": "debug"}
    assert engine.results[0]["settings"][0] == "data/input.jsonl"
    assert "not wanted" in process.logs()


def test_another_config_can_be_named(case: RuntimeCase) -> None:
    lay_out(case)
    case.file("other.py", "class Settings:\n    MAX_CONCURRENCY = 3\n    MY_OWN = 'other'")
    engine = case.engine([{"ip": 1}])
    process = case.start("job", "--config", "other.py").go(engine.url)
    assert process.end() == 0
    assert process.hello()["settings"] == {"MAX_CONCURRENCY": 3}
    assert engine.results[0]["settings"][0] == "other"


def test_a_config_that_is_not_there_is_told(case: RuntimeCase) -> None:
    lay_out(case)
    process = case.start("job", "--config", "nowhere.py")
    assert "nowhere.py: no such file" in process.wait_for("error")["text"]
    assert process.end() == 2


def test_modules_that_are_missing_altogether_are_supplied(case: RuntimeCase) -> None:
    source = """
        import utils, logging_config, config
        from utils import retry_with_backoff

        def process_record(record, context):
            logging_config.logger.info("plainly called")
            logging_config.logger.error("bad %d")
            logging_config.logger.info("bad %d", "x")
            return [config.settings.ID_KEY, hasattr(utils, "nothing"), config.Settings.__name__]
    """
    engine = case.run(source, [1])
    assert engine.results == {0: ["id", False, "Settings"]}
    assert case.last.logs()[-3:] == ["plainly called", "bad %d", "bad %d ('x',)"]


def test_somebody_else_s_utils_are_left_alone(case: RuntimeCase) -> None:
    case.file("utils.py", "def mine(): return 7")
    case.file("logging_config/__init__.py", "logger = 'of mine'")
    source = """
        import logging_config, utils
        def process_record(record, context):
            return [utils.mine(), hasattr(utils, "retry_with_backoff"), logging_config.logger]
    """
    assert case.run(source, [1]).results == {0: [7, False, "of mine"]}


def test_a_logged_exception_has_its_traceback(case: RuntimeCase) -> None:
    source = """
        import threading
        from logging_config import logger

        async def process_record(record, context):
            try:
                1 / 0
            except ZeroDivisionError:
                await logger.exception("it went wrong")
                await logger.critical("\\ud800", exc_info=True)
            thread = threading.Thread(target=logger.info, args=("from a thread",))
            thread.start()
            thread.join()
            await logger.shutdown()
    """
    case.run(source, [1])
    logs = [message["log"] for message in case.last.said if "log" in message]
    assert logs[0]["level"] == "error" and "1 / 0" in logs[0]["traceback"]
    assert logs[1]["text"] == "?" and "traceback" in logs[1]
    assert logs[2]["text"] == "from a thread"


def test_a_flood_of_log_lines_is_held_up_not_lost(case: RuntimeCase) -> None:
    source = """
        from logging_config import logger

        async def process_record(record, context):
            for n in range(2000):
                await logger.info("x" * 500)
    """
    case.run(source, range(5))
    assert len(case.last.logs()) == 10000


def test_a_hook_that_is_missing_is_no_mistake(case: RuntimeCase) -> None:
    lay_out(case, **{"task.py": "async def process_record(record, context): return record"})
    engine = case.engine([{"ip": 1}])
    assert case.start("job").go(engine.url).end() == 0
    assert engine.results == {0: {"ip": 1}}


def test_a_file_alone_finds_the_settings_beside_it(case: RuntimeCase) -> None:
    lay_out(case, **{"config.py": "class Settings:\n    MY_OWN = 1"})
    engine = case.engine([{"ip": 1}])
    process = case.start("job/task.py").go(engine.url)
    assert process.end() == 0
    assert process.hello()["settings"] is None  # they are the task's; the run was given none
    assert engine.results[0]["settings"] == [1, 0, "logs/processor.log"]
