"""
Servers on AWS, object by object: for those who write their own SLS in place of a pillar.

``environment.present`` builds all servers of a pillar, with first boot and all; here user data is the SLS's own.

Common arguments of all functions here:

environment
    The environment the object belongs to: its ``saltlick:environment`` tag. Use one that ``environment.present`` does not
    manage, else each takes the other's objects for undeclared.

region
    The AWS region.

title
    The ``Name`` tag; ``<environment>-<name>`` when left out.

tags
    Further tags.

deadline_s
    How long to wait for the object to become usable, in seconds.

Where an id is wanted, the address of another object does as well: ``vpc/main``, ``control:vpc/main`` in another
environment, ``{ref: vpc/main}``, or the id itself. What exists as described is left alone; ``test=True`` gives the plan.
"""

# ruff: noqa: ARG001 - the decorator reads the arguments of a declaration
from saltlick.commands.environment import objects

__virtualname__ = "ec2"


def _object(kind):
    return objects.state_of(kind, globals())


@_object("instance")
def instance_present(
    name,
    environment,
    region,
    image,
    type,  # noqa: A002 - the kind's own word
    subnet,
    security_groups,
    user_data=None,
    profile=None,
    key_pair=None,
    private_ip=None,
    root_device=None,
    volume_gb=None,
    public_ip=False,
    title=None,
    tags=None,
    deadline_s=900,
):
    """
    Have an instance, running.

    image
        An image id, or what looks one up: ``{ssm: …}``, or ``{name: debian-12-amd64-*, owner: "136693071363"}``. Another
        image later, or other user data, is reported as drift and replaces nothing.

    key_pair
        The name of a key pair. Nobody needs one.

    A change that only a new instance can have (its subnet, its private address) fails the state, and says so.

    IAM: ec2:DescribeInstances, RunInstances, ModifyInstanceAttribute, StartInstances, StopInstances, CreateTags.

    .. code-block:: yaml

        app-1:
          ec2.instance_present:
            - environment: stage
            - region: eu-west-1
            - image: ami-0123456789abcdef0
            - type: t3.small
            - subnet: subnet/private-az1
            - security_groups: [security_group/app]
    """
    looked_up = isinstance(image, dict) and "ref" not in image
    given = {
        "image": f"image/{name}" if looked_up else image,
        "type": type,
        "subnet": subnet,
        "security_groups": security_groups,
        "user_data": user_data,
        "profile": profile,
        "key_pair": key_pair,
        "private_ip": private_ip,
        "root_device": root_device,
        "volume_gb": volume_gb,
        "public_ip": public_ip,
    }
    return given, [objects.Part(kind="image", name=name, given=image)] if looked_up else []


@_object("instance")
def instance_absent(name, environment, region, deadline_s=900):
    """
    Delete the instance, and wait until it is terminated; fine when there is none.

    IAM: ec2:DescribeInstances, TerminateInstances.

    .. code-block:: yaml

        app-1:
          ec2.instance_absent:
            - environment: stage
            - region: eu-west-1
    """


@_object("elastic_ip")
def elastic_ip_present(name, environment, region, instance=None, title=None, tags=None, deadline_s=900):
    """
    Have an Elastic IP.

    instance
        The instance that shall have it; left out, whoever has it is right.

    IAM: ec2:DescribeAddresses, AllocateAddress, AssociateAddress, CreateTags.

    .. code-block:: yaml

        nat-az1:
          ec2.elastic_ip_present:
            - environment: stage
            - region: eu-west-1
            - instance: instance/app-1
    """


@_object("elastic_ip")
def elastic_ip_absent(name, environment, region, deadline_s=900):
    """
    Delete the Elastic IP; fine when there is none.

    IAM: ec2:DescribeAddresses, DisassociateAddress, ReleaseAddress.

    .. code-block:: yaml

        nat-az1:
          ec2.elastic_ip_absent:
            - environment: stage
            - region: eu-west-1
    """


@_object("key_pair")
def key_pair_present(name, environment, region, public_key, title=None, tags=None, deadline_s=900):
    """
    Have a key pair, from a public key that you bring. Nobody needs one: servers are not logged into.

    IAM: ec2:DescribeKeyPairs, ImportKeyPair, CreateTags.

    .. code-block:: yaml

        ops:
          ec2.key_pair_present:
            - environment: stage
            - region: eu-west-1
            - public_key: ssh-ed25519 AAAA… ops
    """


@_object("key_pair")
def key_pair_absent(name, environment, region, deadline_s=900):
    """
    Delete the key pair; fine when there is none.

    IAM: ec2:DescribeKeyPairs, DeleteKeyPair.

    .. code-block:: yaml

        ops:
          ec2.key_pair_absent:
            - environment: stage
            - region: eu-west-1
    """
