"""The worker process of `penstock run`: loads a function, runs it over the records of a job.

`python -m penstock.runtime TARGET` is started by the supervisor and spoken to over descriptor 3
(channel.py). From there:

    target.py   what is to be called: task.py, a folder, module:function; its hooks and settings
    jsonlbatch.py   the modules utils, logging_config and config, for tasks that import them
    session.py  claims and settles over HTTP, under one lease
    supply.py   what may be started now: slots, pacing, a record that must run alone
    runner.py   runs coroutines; plain_runner.py runs plain functions in threads
    desk.py     gathers outcomes and sends them; codec.py writes them
    worker.py   puts it together: hooks, stopping, recycling
"""
