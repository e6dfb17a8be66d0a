"""Production's data in test, and never the other way round. No Salt in here.

guard          whether the target may be overwritten: asked of everybody who may know, and one no is enough
run.refresh    the job, from the choice of the backup to the application that serves it
"""
