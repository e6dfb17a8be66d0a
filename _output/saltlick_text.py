"""
Prints what a Saltlick command has to say to people: the text it brings along, as it is.

Chosen by Saltlick's runners when no ``--out`` is given; ``--out=json`` and the others print the data instead.

CLI Example:

.. code-block:: bash

    salt-run environment.plan prod
"""


def output(ret, **kwargs):  # noqa: ARG001
    """Return the text of a Saltlick command. For anything else the KeyError makes Salt fall back to ``nested``."""
    return ret["text"]
