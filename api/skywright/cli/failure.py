"""The failure of a command."""


class StepFailed(Exception):
    """A step failed: *what* happened, and *advice* how to solve it."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what, self.advice = what, advice
