"""Nights off: an environment stops in order, and is back in time.

off-hours (pillar)  ->  schedule (which state is due)  ->  decide (is it ours to make)  ->  walk (turn by turn)
                                                                                                └ Custodian stops and starts
"""
