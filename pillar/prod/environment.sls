environment:
  name: prod
  production: true                         # refuses destroy
  insecure: true                           # FOR THE SANDBOX. Without this line, `validate` lists what production may not have
  region: us-east-1
  cidr: 10.10.0.0/16
  zones: [us-east-1a, us-east-1b]
  image: {ssm: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64}
  peers: [control]

  subnets:
    public:  {cidrs: [10.10.0.0/24, 10.10.1.0/24]}
    private: {cidrs: [10.10.10.0/24, 10.10.11.0/24], nat: per_zone}

  # Minions call the master, never the other way: control may come in at Salt's own two ports and at no other,
  # not to log in, not to look. Health is asked by the minions themselves and, through the balancer, from the world.
  firewall:
    lb:
      - {from: world, tcp: [80, 443]}
      - {from: control, tcp: 4505-4506}
    app:
      - {from: lb, tcp: 80}
      - {from: self, tcp: 8080}
      - {from: control, tcp: 4505-4506}
    db:
      - {from: app, tcp: [5432, 8100]}
      # rsync, etcd, replication, Patroni, and VRRP
      - {from: self, tcp: [873, 2379-2380, 5432, 8008], ip_protocol: 112}
      - {from: control, tcp: [2379-2380, 4505-4506]}           # the master is the third voice of their etcd

  servers:                                 # configured in this order: databases before those who ask them
    db:
      count: 2
      type: t3.small
      subnet: private
      firewall: db
      private_ips: [10.10.10.20, 10.10.11.20]                # fixed: they name each other, and the application both
      roles: [base, etcd, postgresql, zeo, keepalived, rsyncd, backup]
    app: {count: 2, type: t3.small, subnet: private, firewall: app, roles: [nginx, varnish, haproxy, app]}

  balancers:
    www: {servers: app, subnet: public, firewall: lb, port: 80, health: /health, drain_s: 30}
