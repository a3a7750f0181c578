"""The Devices: which devices may report readings of a subject."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from medproof import messages
from medproof.chain import Receipt, Sender
from medproof.client.contract import ContractClient, SignedMessage
from medproof.decoding import Event
from medproof.errors import DeviceError
from medproof.messages import Domain
from medproof.policy.codes import DataClass
from medproof.policy.device import DEVICE_FIELDS, Device, decode_device, encode_device
from medproof.signing import Signer

__all__ = ["Devices"]

_HOUR = 3600
_EVENTS = ("DeviceSet", "DeviceRevoked")


class Devices(ContractClient):
    """The devices. A subject, or a delegate that may, writes directly or by a message that anyone relays.

    `subject` names for whom an act is, where the sender or signer is not the subject itself.
    """

    name = "Devices"
    signed_functions = ("setDevice", "revokeDevice")

    # -- registering --------------------------------------------------------------------------------------------

    def register(
        self, device: str, registration: Device, *, subject: str | None = None, sender: Sender | None = None
    ) -> Receipt:
        """Register a device by the account of its key, or change its registration. The sequence is filled in.

        A key of its own for each subject: a device that signs with one for two shows the two to be one person's.
        """
        whose = subject or self._by("setDevice", sender).address
        word = self._next_word(whose, device, registration)
        return self._transact("setDevice", whose, device, word, 0, b"", sender=sender)

    def sign_registration(
        self,
        signer: Signer,
        device: str,
        registration: Device,
        *,
        subject: str | None = None,
        lifetime: int = _HOUR,
    ) -> SignedMessage:
        """Sign a registration; see `register`. `lifetime` is how long the message counts, in seconds."""
        whose, deadline = subject or signer.address, self._deadline(lifetime)
        word = self._next_word(whose, device, registration)
        message = messages.device(self.domain, subject=whose, device=device, word=word, deadline=deadline)
        return self._signed("setDevice", (whose, device, word), deadline, signer.sign_typed_data(message))

    def revoke(
        self, device: str, *, subject: str | None = None, sequence: int | None = None, sender: Sender | None = None
    ) -> Receipt:
        """Revoke a device; see `sign_revocation`."""
        whose = subject or self._by("revokeDevice", sender).address
        number = self._overtaking(whose, device) if sequence is None else sequence
        return self._transact("revokeDevice", whose, device, number, 0, b"", sender=sender)

    def sign_revocation(
        self,
        signer: Signer,
        device: str,
        *,
        subject: str | None = None,
        sequence: int | None = None,
        lifetime: int = _HOUR,
    ) -> SignedMessage:
        """Sign a revocation.

        Args:
            signer: the subject, or its delegate for revoking.
            device: the account of the device's key.
            subject: whose device it is; the signer's where none is named.
            sequence: what to overtake: any sequence above all that were signed, one above the stored one where none
                is given. The last, 65535, closes the device for good. A delegate names none.
            lifetime: how long the message counts, in seconds.

        Raises:
            DeviceError: the device is not registered, and no sequence is given.
        """
        whose, deadline = subject or signer.address, self._deadline(lifetime)
        number = self._overtaking(whose, device) if sequence is None else sequence
        message = messages.device_revocation(
            self.domain, subject=whose, device=device, sequence=number, deadline=deadline
        )
        return self._signed("revokeDevice", (whose, device, number), deadline, signer.sign_typed_data(message))

    @property
    def reading_domain(self) -> Domain:
        """Where a device's signature under a reading counts (`medproof.reading`)."""
        return Domain("Reading", self.chain.chain_id, self.address)

    # -- asking -------------------------------------------------------------------------------------------------

    def device(self, subject: str, device: str, *, block: int | str = "latest") -> Device | None:
        """A registration as it is stored, in force or not; None where there never was one."""
        word = self._word(subject, device, block)
        return decode_device(word) if word else None

    def classes(self, subject: str, device: str, *, block: int | str = "latest") -> DataClass:
        """What a device may report of a subject as of a block; none for one that is not registered, or not now."""
        return DataClass(self._call("classesOf", subject, device, block=block))

    def history(self, subject: str, *, device: str | None = None) -> Iterator[Event]:
        """All that was done about a subject's devices, or about one of them, oldest first."""
        filters = {"subject": subject} if device is None else {"subject": subject, "device": device}
        events = [event for name in _EVENTS for event in self.events(name, filters=filters)]
        return iter(sorted(events, key=lambda event: (event.block, event.index)))

    # -- helpers ------------------------------------------------------------------------------------------------

    def _word(self, subject: str, device: str, block: int | str = "latest") -> int:
        return int(self._call("deviceOf", subject, device, block=block))

    def _next_word(self, subject: str, device: str, registration: Device) -> int:
        sequence = DEVICE_FIELDS["sequence"].of(self._word(subject, device)) + 1
        return encode_device(replace(registration, sequence=sequence))

    def _overtaking(self, subject: str, device: str) -> int:
        stored = self.device(subject, device)
        if stored is None or stored.revoked:
            raise DeviceError(f"{device} is no device of {subject}. Nothing needs doing.")
        return stored.sequence + 1
