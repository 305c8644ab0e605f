"""Which version of a policy judges an order: the one in force when it was placed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from services.commerce.policy.model import BUILT_IN, Policy


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions, earliest first. Never empty."""

    policies: tuple[Policy, ...]

    @classmethod
    def of(cls, policies: Iterable[Policy]) -> Versions:
        """Raises ValueError where it is open which of two versions is in force."""
        ordered = sorted(
            policies, key=lambda each: (each.effective_from is not None, each.effective_from)
        )
        if not ordered:
            raise ValueError("there is no policy file; write one, or unset POLICY_PATH")
        for earlier, later in itertools.pairwise(ordered):
            if earlier.effective_from == later.effective_from:
                raise ValueError(
                    f"versions {earlier.version!r} and {later.version!r} start at the same time;"
                    " give each its own effective_from"
                )
        names = [(each.policy, each.version) for each in ordered]
        if len(set(names)) < len(names):
            raise ValueError("two files have the same policy and version; number them apart")
        return cls(tuple(ordered))

    def at(self, placed_at: datetime) -> Policy:
        """The version in force at an instant; the earliest one where none was."""
        chosen = self.policies[0]
        for policy in self.policies:
            if policy.effective_from is None or policy.effective_from <= placed_at:
                chosen = policy
        return chosen

    @property
    def latest(self) -> Policy:
        return self.policies[-1]


BUILT_IN_VERSIONS = Versions((BUILT_IN,))
