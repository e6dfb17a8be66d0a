"""`make demo`: an environment built on this machine, end to end, with the commands that an operator types.

Every step runs the public commands; nothing calls the project's internals.
"""
