"""Releases: one revision onto every server of a group, without a failed request, or back to where each server was.

recipe (pillar) + ports  ->  rollout.release()  ->  journal  ->  the page, the history, `resume`
"""
