"""Tells people when something turns red and when it is green again, each once: the floor under all features.

Apprise carries the messages (mail, chat, pagers, webhooks). What was told to whom is in the master's store.
"""
