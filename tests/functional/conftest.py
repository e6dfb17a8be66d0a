"""What all functional tests share: Salt, kept from writing its deferred log to a terminal that pytest has closed."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def _salt_logs_nothing_at_exit() -> None:
    """Salt buffers what is logged before its configuration is read, and prints it at exit."""
    try:
        from salt._logging import shutdown_temp_handler
    except ImportError:  # no Salt here, or our own state tree under its name: those tests skip by themselves
        return
    shutdown_temp_handler()
