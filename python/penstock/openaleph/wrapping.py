"""A function with something done around each of its runs, of whatever kind it is."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

#: Given the arguments, what is entered before the function and left after it.
Around = Callable[[tuple[Any, ...]], AbstractContextManager[None]]


def wrapped(function: Callable[..., Any], around: Around) -> Callable[..., Any]:
    """The function within `around`: a coroutine stays one, a generator stays one."""
    if inspect.isasyncgenfunction(function):

        @wraps(function)
        async def async_generator(*args: Any) -> AsyncIterator[Any]:
            with around(args):
                async for value in function(*args):
                    yield value

        return async_generator
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def coroutine(*args: Any) -> Any:
            with around(args):
                return await function(*args)

        return coroutine
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def generator(*args: Any) -> Generator[Any, Any, Any]:
            with around(args):
                return (yield from function(*args))

        return generator

    @wraps(function)
    def plain(*args: Any) -> Any:
        with around(args):
            return function(*args)

    return plain
