"""What commands fail with."""


class StepFailed(Exception):
    """A step failed: *what* happened, and *advice* on what to do about it."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.what, self.advice = what, advice
