"""What puts servers in and out of traffic: one file per kind, all of them `release.ports.Balancer`."""
