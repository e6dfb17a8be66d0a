"""What an operator sees of releases: lines, tables, the live view, the page. Functions over records."""
