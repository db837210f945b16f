"""The one exception that bad input may raise."""


class UserError(Exception):
    """Bad input, told in one line: what is wrong, where, and what to do about it.

    A stage that meets one prints it and exits with status 1; anything else that ends a stage is our bug
    and keeps its traceback.
    """
