"""Servers and balancers as every feature sees them: ports, steps, detached jobs, replies. No Salt in here."""
