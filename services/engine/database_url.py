"""What a DATABASE_URL may be."""

_POSTGRES = ("postgresql://", "postgres://")


def sqlite_path(database_url: str) -> str | None:
    """The file that a URL names; None if it names something else."""
    kind, _, path = database_url.partition(":///")
    return path if kind == "sqlite" and path else None


def engine_url(database_url: str) -> str:
    """The URL in SQLAlchemy's words. Raises ValueError."""
    if sqlite_path(database_url):
        return database_url
    for kind in _POSTGRES:
        if database_url.startswith(kind):
            return f"postgresql+psycopg://{database_url.removeprefix(kind)}"
    raise ValueError(
        f"DATABASE_URL must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE, not {database_url!r}"
    )
