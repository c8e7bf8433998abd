"""What the tests of sweep files share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nftlab.errors import SpecError
from nftlab.spec import load_text


@pytest.fixture
def problems() -> Callable[[str], list[str]]:
    """The problems of a text without their file's name; an empty list when it loads."""

    def of(text: str) -> list[str]:
        try:
            load_text(text, "f")
        except SpecError as error:
            return [problem.removeprefix("f:") for problem in error.problems]
        return []

    return of
