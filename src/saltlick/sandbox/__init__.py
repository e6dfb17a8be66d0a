"""The sandbox: a local AWS whose instances really boot, in Docker.

moto answers the AWS API; the hypervisor (one background process) makes what it answers real. `docs/sandbox.md` says how
to use it and where it is not faithful. Nothing but the command line and the tests imports this package.
"""
