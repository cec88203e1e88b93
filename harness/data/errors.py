"""The one error that says: the input, not the program, has to change."""


class DataError(ValueError):
    """Wrong data or wrong data settings. The message is one line: the rule, the value, the way out.

    The command line prints it and ends with exit code 2. A failure of the machine (a full disk, a lost
    connection while writing) stays an `OSError`.
    """
