"""The module `pinexq.procon` of ProCon's users, there inside a worker of penstock.

Beside it `pinexq.client` is whatever is installed: `pinexq` itself is nobody's.
"""
