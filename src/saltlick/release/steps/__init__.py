"""What the runbook calls: one batch, what happens between batches, hooks, builds, the failure budget."""
