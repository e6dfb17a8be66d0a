"""The documentation as HTML: `make docs`."""

project = "Saltlick"
author = "The Saltlick authors"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Saltlick"
myst_heading_anchors = 3
exclude_patterns: list[str] = []
suppress_warnings = ["myst.xref_missing"]  # links that point out of docs/ are for readers of the repository
