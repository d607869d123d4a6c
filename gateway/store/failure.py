"""What is wrong with a record store, in words for whoever runs it."""

from sqlalchemy.exc import SQLAlchemyError


class StoreError(SQLAlchemyError):
    """The store can't be used as it is; the sentence says why and what to do."""
