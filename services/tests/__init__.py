import pytest

pytest.register_assert_rewrite("services.tests.given")
