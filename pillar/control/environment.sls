# The control network: the Salt master and nothing else. Build it with `saltlick bootstrap`.
environment:
  name: control
  insecure: true                           # FOR THE SANDBOX: its git repository is over plain HTTP
  region: us-east-1
  cidr: 172.20.0.0/16
  zones: [us-east-1a]
  image: {ssm: /aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64}

  subnets:
    public: {cidrs: [172.20.0.0/24]}

  firewall:
    salt-master:
      # Minions call their master; prod and test, which declare the peering, are named here by their networks.
      - {from: [10.10.0.0/16, 10.20.0.0/16], tcp: 4505-4506}
      # Their database servers bring backups, and fetch them.
      - {from: [10.10.0.0/16, 10.20.0.0/16], tcp: 873}
      # And keep who of them is the primary, with it as the third voice.
      - {from: 10.10.0.0/16, tcp: 2379-2380}
      - {from: 10.20.0.0/16, tcp: 2381-2382}
      - {from: world, udp: 51820}          # WireGuard: the way in for operators

  servers:
    salt-master:
      names: [salt-master]
      type: t3.small
      subnet: public
      firewall: salt-master
      boot: master
      roles: [etcd, rsyncd]                # the third voice of their databases; it keeps their backups
      private_ips: [172.20.0.10]           # fixed: every minion's configuration holds it
      elastic_ip: true
      iam_policy: saltlick                 # as `saltlick iam-policy` prints it

  salt:
    repository: http://git.saltlick.internal/saltlick.git
    revision: main
