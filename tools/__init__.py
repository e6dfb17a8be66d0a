"""The project's own tools: they are run from the checkout and are not part of the wheel."""
