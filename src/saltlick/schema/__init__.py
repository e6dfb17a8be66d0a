"""What every feature's pillar model stands on: field types, problems with their paths, readable errors."""
