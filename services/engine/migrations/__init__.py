"""How a service's database comes from one version of its tables to the next, by Alembic: a step before it starts.

`REVISION` is the newest one; a service only runs on a database that has it.
"""

REVISION = "0001"
