"""How a check says no."""


class Refused(Exception):
    """The bundle does not hold: which part, and why."""

    def __init__(self, part, why):
        super().__init__('%s: %s' % (part, why))
        self.part, self.why = part, why


def require(condition, part, why):
    if not condition:
        raise Refused(part, why)
