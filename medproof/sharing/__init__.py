"""Messages between parties that nobody between them can read, and read receipts that stand on the chain.

It needs `medproof[gateway]`. docs/sharing.md says what an envelope is, what it holds against, and what it shows.
"""

from medproof.errors import MissingExtraError

try:
    from medproof.sharing.content import Content
    from medproof.sharing.envelope import Envelope, Heading, Recipient
    from medproof.sharing.keys import EncryptionKeys, checked_key, key_text, read_key
    from medproof.sharing.read_receipt import Anchored, ReadReceipt, acknowledge, anchor, verify
    from medproof.sharing.sealing import Opened, check_signed, open_envelope, seal
except ModuleNotFoundError as missing:
    if (missing.name or "medproof").startswith("medproof"):
        raise
    raise MissingExtraError("Sharing", "gateway", str(missing.name)) from None

__all__ = [
    "Anchored",
    "Content",
    "EncryptionKeys",
    "Envelope",
    "Heading",
    "Opened",
    "ReadReceipt",
    "Recipient",
    "acknowledge",
    "anchor",
    "check_signed",
    "checked_key",
    "key_text",
    "open_envelope",
    "read_key",
    "seal",
    "verify",
]
