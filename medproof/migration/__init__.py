"""Leaving one deployment for another: what has to go over, who must agree to it, and the proof that nothing was lost.

The contracts are immutable: another version is another deployment, on the same chain or on another. docs/migrating.md
says what of each contract goes over, what stays readable where it is, and what cannot be carried at all.
"""

from medproof.migration.comparison import Comparison
from medproof.migration.events import ChainEvents, Events, IndexEvents
from medproof.migration.export import Export
from medproof.migration.left import left_deployment
from medproof.migration.running import Handed, Taken, hand_over, take_steps
from medproof.migration.signing import compare_subject, sign_step, sign_subject, signable_steps
from medproof.migration.state import State, read_state
from medproof.migration.step import AUTHORITY, Actor, Finding, Kind, Step

__all__ = [
    "AUTHORITY",
    "Actor",
    "ChainEvents",
    "Comparison",
    "Events",
    "Export",
    "Finding",
    "Handed",
    "IndexEvents",
    "Kind",
    "State",
    "Step",
    "Taken",
    "compare_subject",
    "hand_over",
    "left_deployment",
    "read_state",
    "sign_step",
    "sign_subject",
    "signable_steps",
    "take_steps",
]
