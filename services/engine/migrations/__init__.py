"""How a service's database comes from one version of its tables to the next, by Alembic: a step before it starts.

`REVISION` is the newest one; a service only runs on a database that has it, or a later one. They are ordered as text.
"""

REVISION = "0001"
