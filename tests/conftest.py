"""What a failed oracle saw is said, as in a test."""

import pytest

pytest.register_assert_rewrite("tests.oracles")
