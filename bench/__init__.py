"""Benchmarks: Saltlick beside the practical limit, through a proxy with AWS's latency. `make bench` runs them."""
