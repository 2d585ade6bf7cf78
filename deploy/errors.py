"""What can go wrong, as one line for the user: what failed and what to look at."""


class DeployError(Exception):
    """A step failed. The text is the one line that the command prints."""
