"""What every job of an operator stands on: the lock of an environment and the processes that hold it."""
