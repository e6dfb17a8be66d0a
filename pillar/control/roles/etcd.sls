# The third voice of each environment's databases, a process for each: with it, two database servers know which of them is cut off.
# pillar/common/roles/etcd.sls tells the others.
etcd:
  clusters:
    prod:
      members: {prod-db-1: 10.10.10.20, prod-db-2: 10.10.11.20, salt-master: 172.20.0.10}
    test:
      members: {test-db-1: 10.20.10.20, test-db-2: 10.20.11.20, salt-master: 172.20.0.10}
      client_port: 2381
      peer_port: 2382
