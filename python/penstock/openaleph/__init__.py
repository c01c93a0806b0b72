"""Typed jobs for services that pass entities and files to each other in stages.

    from penstock.openaleph.app import make_app
    from penstock.openaleph.model import DatasetJob, Defers
    from penstock.openaleph.tasks import task

Entities are FollowTheMoney's; `pip install penstock[openaleph]` brings what this needs. It is
described in docs/openaleph.md.
"""
