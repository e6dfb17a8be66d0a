"""`make demo`: an environment built on this machine, end to end, with the commands that an operator types.

Everything here runs the same commands as anybody would; nothing reaches past them into the project.
"""
