"""Every exception that MedProof raises. A message quotes the value, the rule it broke and the next step."""

from __future__ import annotations

from collections.abc import Sequence


class MedProofError(Exception):
    """Root of every exception that MedProof raises."""


class UnknownCodeError(MedProofError):
    """A code is not in the list that a field of the rule word speaks in."""

    def __init__(self, code: str, system: str, near: tuple[str, ...], advice: str = "") -> None:
        """Name the code, the list, and the codes that look like it."""
        self.code = code  # what was given
        self.system = system  # title of the list that was searched
        self.near = near  # codes of the list that look like it, best first
        step = advice or (f"Did you mean {' or '.join(near)}?" if near else "See medproof.policy.codes for the list.")
        super().__init__(f"{code!r} is not a code of {system}. {step}")


class ArgumentError(MedProofError):
    """A function cannot take these arguments; nothing was sent."""


class SigningNeededError(MedProofError):
    """A transaction is to be sent, and nobody was named who sends it."""


class RuleFieldError(MedProofError):
    """A field of a rule or a request cannot stand in the rule word, or breaks a rule of validity."""

    def __init__(self, field: str, value: object, rule: str, step: str) -> None:
        """Name the field, quote its value, the rule it broke and what to do."""
        self.field = field  # name of the field, as in medproof.policy.word.LAYOUT
        self.value = value  # what was given
        super().__init__(f"{field} is {value!r}, but {rule}. {step}")


class DataUseError(MedProofError):
    """A use of data for research cannot be stated so in the terms of DUO."""

    def __init__(self, field: str, value: object, rule: str, step: str) -> None:
        """Name the field, quote its value, the rule it broke and what to do."""
        self.field = field  # name of the field, as in medproof.policy.duo
        self.value = value  # what was given
        super().__init__(f"{field} is {value!r}, but {rule}. {step}")


class ReservedBitsError(MedProofError):
    """A word has bits set that no field or no code stands behind."""

    def __init__(self, word: int, bits: int) -> None:
        """Quote the word and the bits that nothing stands behind."""
        self.word = word  # the word as given
        self.bits = bits  # the offending bits, in place
        positions = ", ".join(str(n) for n in range(bits.bit_length()) if bits >> n & 1)
        super().__init__(
            f"{word:#066x} is not a rule word: bits {positions} are reserved and must be zero. "
            "Check that the word comes from the registry and that this MedProof is as new as its contracts."
        )


class JsonError(MedProofError):
    """A text or a value is not JSON that can be read and hashed without loss; the message shows no values."""


class SaltError(MedProofError):
    """A salt is not 32 random bytes."""


class IdentifierError(MedProofError):
    """A keyed identifier lacks what it stands on: a long enough key, a purpose, or one of its parts."""


class RecordError(MedProofError):
    """Root of what `medproof.fhir` refuses; messages name elements, never what stands in them."""


class RecordFileError(RecordError):
    """A file with a record cannot be read; its path, which may name a patient, is in `path` alone."""

    def __init__(self, path: str, rule: str, step: str) -> None:
        """Give the rule and the next step; keep the path out of the message."""
        self.path = path  # the path as given
        super().__init__(f"{rule}: {step}.")


class NotFhirError(RecordError):
    """A JSON value is no FHIR R4 resource: no object, or no `resourceType` that R4 has."""


class InvalidRecordError(RecordError):
    """A FHIR resource breaks the structure that R4 gives its type."""

    def __init__(self, resource_type: str, problems: tuple[tuple[str, str], ...]) -> None:
        """Name the first places that break R4, and count the rest."""
        self.resource_type = resource_type  # such as "Observation"
        self.problems = problems  # (element path, rule broken), in the order of the record
        shown = "; ".join(f"{path} {rule}" for path, rule in problems[:5])
        more = f"; and {len(problems) - 5} more in .problems" if len(problems) > 5 else ""
        super().__init__(f"{resource_type} breaks FHIR R4: {shown}{more}. Mend the record at its source.")


class EmptyBundleError(RecordError):
    """A bundle has no entries, so that there is nothing to commit to."""

    def __init__(self) -> None:
        """Say what an empty bundle lacks."""
        super().__init__("Bundle.entry is missing: a bundle needs at least one entry to be committed to.")


class UnclassifiedRecordError(RecordError):
    """A record has no place in the code lists of the rule word, so that no rule can permit it."""

    def __init__(self, path: str, rule: str) -> None:
        """Name the element that no code stands for."""
        self.path = path  # the element that could not be classified
        super().__init__(f"{path} {rule}: no rule on chain can permit this record, so serve it under none.")


class ManyPatientsError(RecordError):
    """A record speaks of more than one patient, so that no single subject's consent covers it."""

    def __init__(self, path: str, count: int) -> None:
        """Name the element and how many patients it names."""
        self.path = path  # the element that names them
        self.count = count  # how many different patients
        super().__init__(f"{path} names {count} patients and a record has one subject: split the record.")


class ElementError(RecordError):
    """What is read for the contracts lacks an element or gives it in a form of no use; nothing of it was read."""

    def __init__(self, path: str, rule: str, step: str) -> None:
        """Name the element or segment, what is wrong with it and what to do."""
        self.path = path  # the element, such as "Claim.provider"
        self.rule = rule  # what is wrong with it
        super().__init__(f"{path} {rule}: {step}.")


class ClaimElementError(ElementError):
    """A claim, or an answer to one, lacks an element or gives it in a form of no use; nothing of it was read.

    The classes below it say what kind of thing is wrong. A path is an element of FHIR or a segment of X12.
    """


class PrescriptionElementError(ElementError):
    """A MedicationRequest or MedicationDispense cannot be kept on the chain as it stands, or goes with no fill."""


class ClaimCodeError(ClaimElementError):
    """A code is not one that the field is written in."""


class ClaimDateError(ClaimElementError):
    """A day of service is missing, is none, or contradicts another."""


class ClaimAmountError(ClaimElementError):
    """An amount or a quantity is below zero, or not the product that it is said to be."""


class ClaimCurrencyError(ClaimElementError):
    """A currency is not in ISO 4217, or another than the rest of the claim is in."""


class ClaimTotalError(ClaimElementError):
    """Amounts do not add up to their total, or an adjudication does not balance."""


class ClaimLineError(ClaimElementError):
    """Two lines have one number, or an answer is to a line that the claim does not have."""


class ClaimStateError(ClaimElementError):
    """A resource is no bill or no decision as it stands: a draft, a cancelled one, a question, one still under way."""


class PlanError(MedProofError):
    """A plan cannot be computed by, or does not govern a claim."""

    def __init__(self, path: str, rule: str) -> None:
        """Name the place in the plan, or of the claim, and what is wrong with it."""
        self.path = path  # such as "$.fees[0].amount"
        super().__init__(f"{path} {rule}. Give the plan as its payer published it (docs/adjudication.md).")


class NullifierKeyError(MedProofError):
    """The consortium's keys for nullifiers cannot be used so; no message shows a key."""


class InterchangeError(ClaimElementError):
    """A file is no whole X12 interchange: cut off, put together wrongly, or its counts do not hold; nothing is read."""


class InterchangeVersionError(InterchangeError):
    """A transaction is of a kind or a version of X12 that is not read, such as 4010."""


class ConsentNotCompilableError(RecordError):
    """A FHIR Consent says what neither rule words nor a policy document can hold without changing its meaning."""

    def __init__(self, path: str, rule: str, step: str) -> None:
        """Name the element, why it cannot be compiled and what to do."""
        self.path = path  # the element, such as "Consent.provision.provision[0].code[0]"
        self.rule = rule  # why
        super().__init__(f"{path} {rule}, so the consent was not compiled: {step}.")


class ConsentDocumentError(MedProofError):
    """Rules that a policy document makes narrower are asked for without its terms, which would widen them."""

    def __init__(self) -> None:
        """Say how the document gets its number."""
        super().__init__(
            "The rules of this consent are only bounds and name no terms: without them they would permit more than the "
            "consent. Publish .document.hash as terms and take the rules of .under(number)."
        )


class PolicyDocumentError(MedProofError):
    """A JSON value is no policy document; the message gives the path and shows no values."""

    def __init__(self, path: str, rule: str) -> None:
        """Name the place and the rule that it breaks."""
        self.path = path  # such as "$.provisions[0].rule"
        super().__init__(f"{path} {rule}. Give the document as it was published.")


class ContractError(MedProofError):
    """Root of the contracts' own errors; `medproof.contract_errors` has one class for each."""

    signature = ""  # such as "SequenceStale(uint256,uint256)"
    rule = ""  # why it is thrown
    step = ""  # how to mend it

    def __init__(self, **arguments: object) -> None:
        """Take the error's arguments by name; each becomes an attribute."""
        self.arguments = arguments  # by name, in the contract's order
        for name, value in arguments.items():
            setattr(self, name, value)
        given = ", ".join(
            f"{name}={'0x' + value.hex() if isinstance(value, bytes) else value}" for name, value in arguments.items()
        )
        super().__init__(f"{type(self).__name__}({given}): {self.rule} {self.step}")


class UnknownRevertError(MedProofError):
    """A contract reverted with data that belongs to none of the suite's errors."""

    def __init__(self, data: bytes, reason: str = "") -> None:
        """Quote the data, or the text the node gave."""
        self.data = data  # the raw revert data
        quoted = reason or (f"0x{data.hex()}" if data else "no data")
        super().__init__(
            f"The contract reverted with {quoted}, which is none of the suite's errors. "
            "Check that the address holds the suite's contract and that enough gas was sent."
        )


class KeystoreError(MedProofError):
    """A key file cannot be used."""

    def __init__(self, path: str, rule: str, step: str) -> None:
        """Name the file, what is wrong with it and the next step."""
        self.path = path  # the path as given
        super().__init__(f"The key file {path} {rule}. {step}.")


class ExternalSignerError(MedProofError):
    """A signer that holds its own key, such as Clef or a Ledger, does not sign, or not what it was asked to."""

    def __init__(self, signer: str, rule: str, step: str) -> None:
        """Name the signer, what is wrong and the next step; a URL is named without what may be secret in it."""
        self.signer = signer  # such as "Clef at http://127.0.0.1:8550"
        super().__init__(f"{signer} {rule}. {step}.")


class WalletError(MedProofError):
    """A seed phrase cannot be used; the message shows no word of it."""


class UnknownNetworkError(MedProofError):
    """A network is not known by this name, or its node's URL is not given."""

    def __init__(self, name: str, known: tuple[str, ...], variable: str = "") -> None:
        """Name the network and those that are known, or the variable that must give its URL."""
        self.name = name  # as given
        if variable:
            message = f"The network {name} has no URL of its own. Set {variable} to your node's URL."
        else:
            message = f"{name!r} is no network's name and no URL. Known are {', '.join(known)}; or give http://…"
        super().__init__(message)


class NetworkFileError(MedProofError):
    """The file of the user's own networks cannot be used."""

    def __init__(self, path: str, member: str, rule: str) -> None:
        """Name the file, the member, and the rule that it breaks; a URL may hold a key and is not shown."""
        self.path, self.member = path, member  # the member's path, such as networks[0].url; empty for the whole
        step = "Mend it, or name another in MEDPROOF_NETWORKS."
        super().__init__(f"The file of networks {path}: {member or 'it'} {rule}. {step}")


class NodeError(MedProofError):
    """The node does not answer, or its answer cannot be used."""


class AnswerTooLongError(NodeError):
    """A node's answer is longer than what is read of any."""

    def __init__(self, origin: str, longest: int) -> None:
        """Name the node, and how many bytes are read."""
        self.origin, self.longest = origin, longest
        super().__init__(
            f"The node at {origin} answers with more than {longest:,} bytes, and no more of it was read. "
            "Ask it for less at once, or ask another node."
        )


class AccountFundsError(NodeError):
    """The account that sends a transaction has too little ether for it."""

    def __init__(self, address: str, balance: int) -> None:
        """Name the account, and what it has, in wei."""
        self.address, self.balance = address, balance
        super().__init__(
            f"{address} has {balance / 10**18:.6f} ether on this chain, which does not pay for the transaction. "
            "Send it ether, or let another account pay. Nothing was sent."
        )


class WrongChainError(MedProofError):
    """Another chain answers than the one that was meant."""

    def __init__(self, url: str, expected: int, found: int) -> None:
        """Name both chains."""
        self.expected, self.found = expected, found  # chain ids
        super().__init__(
            f"The node at {url} serves chain {found}, but chain {expected} was meant. "
            "Check the URL, or name the other network."
        )


class NodesDisagreeError(NodeError):
    """Two nodes of one chain say different things of a block; which of them is right cannot be known here."""

    def __init__(self, block: int, first: str, second: str, what: str) -> None:
        """Name the block, both nodes (without the keys in their URLs), and what they disagree on."""
        self.block = block
        super().__init__(
            f"{first} and {second} disagree on {what} of block {block}. One is on another fork, or lies; nothing of "
            "this block was indexed. Ask a third node, and index from one that agrees with it."
        )


class NodeLagsError(NodeError):
    """A node does not have a block that was read before, or that another node of its chain has."""

    def __init__(self, node: str, block: int) -> None:
        """Name the node (without the key in its URL) and the block."""
        self.block = block
        super().__init__(
            f"The node at {node} does not have block {block} yet, or its chain was put back. Wait until it has, or "
            "name another node; what is indexed stays as it was."
        )


class FinalBlockError(MedProofError):
    """A block that its chain called final when it was indexed is not on the chain any more."""

    def __init__(self, node: str, block: int) -> None:
        """Name the node (without the key in its URL) and the last block that was final."""
        self.block = block
        super().__init__(
            f"Block {block} or one below it was final when it was indexed, and the node at {node} has another in its "
            "place: it serves another fork, or finality failed. Nothing was taken back. Compare another node "
            "(--check); if the chain itself went back, index once with a number of blocks as --finality, which takes "
            "back what they replaced."
        )


class IndexedChainError(MedProofError):
    """An index keeps another chain than the one that a node serves, though their ids are the same."""

    def __init__(self, chain_id: int, kept: bytes, found: bytes) -> None:
        """Give the id, and the hashes of both first blocks."""
        self.chain_id, self.kept, self.found = chain_id, kept, found
        super().__init__(
            f"The index keeps a chain {chain_id} that begins with block 0x{kept.hex()}, and the node's begins with "
            f"0x{found.hex()}: the chain was made anew. Name another index, or another node."
        )


class IndexedDeploymentError(MedProofError):
    """An index keeps a deployment with other contracts than its manifest names."""

    def __init__(self, name: str, address: str, chain_id: int) -> None:
        """Name the contract, and its address in the index."""
        self.name, self.address = name, address
        super().__init__(
            f"The index keeps this deployment on chain {chain_id} with {name} at {address}, and the manifest names "
            "another address. Name the manifest that was indexed, or another index."
        )


class IndexedContractError(MedProofError):
    """An index has read past the first block of a contract that it does not keep."""

    def __init__(self, name: str, block: int, read: int) -> None:
        """Name the contract, its block, and the last one that was read."""
        self.name, self.block, self.read = name, block, read
        super().__init__(
            f"The index was read up to block {read} without {name}, which stands since block {block}: what it said is "
            "not in it. Make another index."
        )


class IndexMovedError(MedProofError):
    """Another process writes to the same index."""

    def __init__(self, block: int) -> None:
        """Name the block from which this process meant to go on."""
        self.block = block
        super().__init__(
            f"The index no longer stands at block {block}: another process indexes the same deployment, and nothing "
            "was written twice. Leave it to one of them."
        )


class IndexRolledBackError(MedProofError):
    """The chain of a view was rolled back below the view's block: its answers would mix two states."""

    def __init__(self, block: int) -> None:
        """Name the view's block."""
        self.block = block
        super().__init__(
            f"The index has taken back block {block} since this view of it was made, as the chain was reorganised. "
            "Make a new view, and ask again what was asked of this one."
        )


class IndexTimeError(MedProofError):
    """An index cannot say what stood at a block or a time."""

    def __init__(
        self, block: int | None, at: object, last: int | None, near: Sequence[tuple[int, object]] = ()
    ) -> None:
        """Name what was asked for, the last block that was read, if any, and blocks near it whose times are kept."""
        self.block, self.at, self.last, self.near = block, at, last, tuple(near)
        if last is None:
            said = "The index has read nothing of this deployment yet."
        else:
            asked = f"block {block}" if block is not None else f"{at}"
            said = (
                f"The index does not know what stood at {asked}: it has read from the deployment's first block to "
                f"{last}, and keeps the times of those blocks alone in which something happened."
            )
        if near:
            said += " The nearest are " + " and ".join(f"{number} ({time})" for number, time in near) + "."
        super().__init__(f"{said} Run medproof index, or name another block, or beside the block its time.")


class DatasetError(MedProofError):
    """A research data set is missing, half-written, damaged, of another form, or has no such table."""

    def __init__(self, place: str, rule: str, step: str) -> None:
        """Name the folder, file or table, the rule, and the next step."""
        self.place = place
        super().__init__(f"{place} {rule}. {step}.")


class QuestionError(MedProofError):
    """A question to the research data set asks for what cannot be."""

    def __init__(self, name: str, value: object, rule: str, step: str) -> None:
        """Name what was asked with, the rule, and the next step."""
        self.name, self.value = name, value
        super().__init__(f"{name} {value!r}: {rule}. {step}.")


class TransactionFailedError(MedProofError):
    """A transaction failed on the chain and the reason cannot be found."""

    def __init__(self, transaction: str, block: int) -> None:
        """Name the transaction and its block."""
        self.transaction, self.block = transaction, block
        super().__init__(
            f"Transaction {transaction} failed in block {block}, and running it again gives no reason. "
            "It may have run out of gas, or met a state that has changed since: look at the state and send again."
        )


class ConfirmationTimeoutError(MedProofError):
    """A transaction was sent and is not confirmed in time; it may be yet."""

    def __init__(self, transaction: str, confirmations: int) -> None:
        """Name the transaction and the confirmations it lacks."""
        self.transaction = transaction  # its hash, to wait for again
        super().__init__(
            f"Transaction {transaction} has not {confirmations} confirmation(s) yet. "
            "Wait for it again by its hash; do not send it a second time."
        )


class DeploymentError(MedProofError):
    """A deployment's manifest cannot be used, or does not fit the chain."""


class RuleStateError(MedProofError):
    """A grant meets a rule that is in force already, or a change or revocation meets none."""


class ConsentLogError(MedProofError):
    """A consent log is asked about a time that it has not read yet."""

    def __init__(self, at: object, until: object) -> None:
        """Name both times; None for no question of a time, and for a log that has read nothing."""
        self.at, self.until = at, until
        known = f"knows the registry until {until}" if until else "has read nothing yet"
        asked = f", and {at} is later" if at and until else ""
        super().__init__(
            f"The consent log {known}{asked}. Index what is new and call update(), or ask about an earlier time."
        )


class MessageError(MedProofError):
    """A signed message cannot be read, or is for another contract than the one it is given to."""


class DelegationError(MedProofError):
    """A delegation, or the guardians of a recovery, cannot be written so, or meet a state that they do not go with."""


class DeviceError(MedProofError):
    """A device's registration cannot be written so, or meets a state that it does not go with."""


class PrescriptionError(MedProofError):
    """A prescription that was never issued, that cannot be written to the chain, or that its file does not say."""


class ReadingError(MedProofError):
    """A device's reading cannot be signed or read so; the message names members and shows no values."""

    def __init__(self, member: str, rule: str) -> None:
        """Name the member and what is wrong with it."""
        self.member = member  # such as "takenAt"
        super().__init__(f"{member} {rule}. Give a reading as sign_reading makes it (docs/devices.md).")


class ReadingRefusedError(MedProofError):
    """A device's reading may not be taken."""

    def __init__(self, number: int, code: str, said: str) -> None:
        """Take the reading's number, the reason's code and the sentence."""
        self.number = number  # of the reading
        self.code = code  # such as "FUTURE"; medproof.reading.REFUSALS has them
        super().__init__(said)


class LeafProofError(MedProofError):
    """A JSON value is no proof of a leaf, or is for another chain or contract than the one that is asked."""

    def __init__(self, rule: str) -> None:
        """Say what is wrong with it."""
        super().__init__(f"The proof {rule}. Give the one that the log's keeper wrote, and connect to its chain.")


class ClaimEventError(MedProofError):
    """An event of a claim cannot stand in a log."""

    def __init__(self, part: str, rule: str) -> None:
        """Name the part and what is wrong with it."""
        self.part = part  # such as "claim"; empty where it is the whole
        what = f"{part} of the event" if part else "The event"
        super().__init__(f"{what} {rule}. Give commitments of 32 bytes and a time with its zone.")


class NamedLogError(MedProofError):
    """A log lacks what is asked of it, or is anchored elsewhere."""

    def __init__(self, rule: str, step: str) -> None:
        """Say what is wrong and the next step."""
        super().__init__(f"The log {rule}. {step}.")


class QueueError(MedProofError):
    """The file of a queue of transactions cannot be used."""

    def __init__(self, path: str, rule: str, step: str) -> None:
        """Name the file, what is wrong with it and the next step."""
        self.path = path  # the path as given
        super().__init__(f"The queue {path} {rule}. {step}.")


class UnknownMessageError(MedProofError):
    """A relayer does not know a message."""

    def __init__(self, id_: str) -> None:
        """Quote the id."""
        self.id = id_  # as given
        super().__init__(f"{id_!r} is no message of this queue. Give the id that Relayer.submit returned.")


class MessageGasError(MedProofError):
    """A message takes more gas than a relayer allows one message."""

    def __init__(self, allowed: int) -> None:
        """Name the bound."""
        self.allowed = allowed  # gas
        super().__init__(
            f"The message takes more than {allowed} gas, the most that this relayer allows one message. "
            "Check the wallet that answers for its signer, or raise gas_each."
        )


class SenderFundsError(MedProofError):
    """An account cannot pay for what a queue is to send from it; everything stays queued."""

    def __init__(self, address: str, balance: int, needed: int) -> None:
        """Name the account, what it has and what it needs, in wei."""
        self.address, self.balance, self.needed = address, balance, needed
        super().__init__(
            f"The account {address} has {balance} wei and needs {needed} for what it is to send. "
            "Fund it: nothing is lost, and the queue goes on by itself."
        )


class FeesTooHighError(MedProofError):
    """The chain asks for higher fees than a queue may pay; everything stays queued."""

    def __init__(self, fee: int, highest: int) -> None:
        """Name both, in wei a unit of gas."""
        self.fee, self.highest = fee, highest
        super().__init__(
            f"The chain asks for {fee} wei a unit of gas, and at most {highest} may be paid. "
            "Wait, or raise highest_fee: nothing is lost."
        )


class KeyReusedError(MedProofError):
    """An idempotency key stands for another transaction already; nothing was queued."""

    def __init__(self, key: str) -> None:
        """Quote the key."""
        self.key = key  # as given
        super().__init__(
            f"The key {key!r} stands for another transaction in this queue: another recipient, data, value or account. "
            "Give each transaction a key of its own, and the same one only to the same transaction."
        )


class UnknownTransactionError(MedProofError):
    """A queue does not know a transaction."""

    def __init__(self, key: str) -> None:
        """Quote the key."""
        self.key = key  # as given
        super().__init__(f"{key!r} is no transaction of this queue. Give the key that submit returned.")


class TransactionRefusedError(MedProofError):
    """A queued transaction took no effect: it would fail, the node refuses it, or it was given up."""

    def __init__(self, key: str, reason: str) -> None:
        """Quote the key, and what was said when it was refused."""
        self.key, self.reason = key, reason
        super().__init__(f"The transaction {key!r} was refused: {reason} Mend that, and submit it again.")


class ReceiptError(MedProofError):
    """A consent receipt cannot be issued, read or verified."""


class MalformedReceiptError(ReceiptError):
    """A text is no consent receipt; the message shows no value of it."""

    def __init__(self, path: str, rule: str) -> None:
        """Name the field and what is wrong with it."""
        self.path = path  # such as "evidence.block"; empty for the whole text
        step = "Give the text that ConsentReceipt.to_json wrote, or ask its issuer for another."
        super().__init__(f"{path or 'The consent receipt'} {rule}. {step}")


class ForeignReceiptError(ReceiptError):
    """A consent receipt is for another chain or another registry than the one that is asked."""

    def __init__(self, field: str, given: object, here: object) -> None:
        """Name the field, what the receipt says and what answers here."""
        self.field, self.given, self.here = field, given, here
        super().__init__(
            f"{field} of the receipt is {given}, and here it is {here}. Connect to the receipt's chain and deployment."
        )


class UnknownEvidenceError(ReceiptError):
    """What a consent receipt stands on is not on the chain."""

    def __init__(self, field: str, value: object) -> None:
        """Name the field and quote its value."""
        self.field, self.value = field, value
        super().__init__(
            f"{field} is {value}, and the chain has none of it there: the receipt was altered, or the chain has "
            "reorganised since. Issue it anew, and wait for more confirmations before relying on it."
        )


class PublicationError(MedProofError):
    """An explorer does not take a contract's sources."""

    def __init__(self, contract: str, rule: str, step: str) -> None:
        """Name the contract, what came of it and the next step."""
        self.contract = contract  # its path and name, or its name
        super().__init__(f"The source of {contract} {rule}. {step}")


class OptionError(MedProofError):
    """An option or argument of the command line cannot be used, or one that is needed is missing."""

    def __init__(self, option: str, rule: str, step: str) -> None:
        """Name the option, what is wrong with it and the next step."""
        self.option = option  # as it is written, such as "--until"
        super().__init__(f"{option} {rule}. {step}")


class SecretArgumentError(MedProofError):
    """A private key, a password or a seed phrase stands on the command line; the message shows nothing of it."""

    def __init__(self, option: str) -> None:
        """Name the option, and say what is known now."""
        self.option = option  # as it is written, such as "--keystore"
        super().__init__(
            f"A secret stands on the command line, at {option}: the shell's history and other users' process lists "
            "have it now, so regard it as known to others. Give a file by --keystore, --wallet or --password-file."
        )


class TermsUnpublishedError(MedProofError):
    """The policy document of a consent is not published as terms, and nobody was named who may publish it."""

    def __init__(self, terms: bytes) -> None:
        """Quote the terms."""
        self.terms = terms  # the document's hash
        super().__init__(
            f"The policy document 0x{terms.hex()} is not published as terms yet. Let whoever has the role TERMS "
            "publish it, or send as that account by --relay-as; then import again with the same --document."
        )


class MerkleLeafError(MedProofError):
    """A leaf of a Merkle log is no commitment of 32 bytes."""

    def __init__(self, index: int | None, length: int) -> None:
        """Name the place that it was to have, where it has one, and its length."""
        self.index, self.length = index, length
        place = "The leaf" if index is None else f"Leaf {index}"
        super().__init__(
            f"{place} has {length} bytes, and a leaf has 32: longer ones could pass for nodes. "
            "Append the entry's commitment (medproof.hashing)."
        )


class MerkleSizeError(MedProofError):
    """A Merkle log never had this size or this index."""

    def __init__(self, value: int, rule: str, step: str) -> None:
        """Quote the size or index, the rule and what to do."""
        self.value = value
        super().__init__(f"{value} {rule}. {step}")


class IndexedValueError(MedProofError):
    """A value cannot be in an indexed Merkle tree, or is in it where it must not be, or is not where it must."""

    def __init__(self, value: bytes, rule: str, step: str) -> None:
        """Quote the value, say what is wrong with it and the next step."""
        self.value = value
        super().__init__(f"0x{value.hex()} {rule}. {step}.")


class MerkleProofError(MedProofError):
    """A Merkle proof does not show what it is given for."""

    def __init__(self, what: str, why: str) -> None:
        """Say what was to be shown and where it fails."""
        self.what, self.why = what, why
        super().__init__(
            f"The proof does not show {what}: {why}. Ask the publisher for a proof for exactly these sizes and roots; "
            "where it has none, its log was rewritten."
        )


class MissingExtraError(MedProofError, ImportError):
    """A part of MedProof needs packages that the plain installation leaves out."""

    def __init__(self, part: str, extra: str, package: str) -> None:
        """Name the part, the extra that brings what it needs, and the package that was missed."""
        self.extra = extra  # such as "gateway"
        super().__init__(f"{part} needs {package}, which is not installed. Run pip install 'medproof[{extra}]'.")


_RECORD_STORE = "record store"


class StoreError(MedProofError):
    """Root of what a record store or an index refuses or cannot do; messages never say what a record says."""


class StoreUnavailableError(StoreError):
    """The database of a record store or an index does not answer, or ended a transaction that was under way."""

    def __init__(self, reason: str, of: str = _RECORD_STORE) -> None:
        """Give the database's own name for the reason, and whose it is."""
        self.reason = reason  # such as "SQLITE_CANTOPEN", or an SQLSTATE
        super().__init__(
            f"The {of}'s database cannot be used ({reason}). What was confirmed before is safe and nothing is "
            "stored by halves: see that the database runs, then do the same again; it is stored once."
        )


class StoreBusyError(StoreError):
    """Others hold the database of a record store or an index for longer than it waits."""

    def __init__(self, reason: str, of: str = _RECORD_STORE) -> None:
        """Give the database's own name for the reason, and whose it is."""
        self.reason = reason  # such as "SQLITE_BUSY", or an SQLSTATE
        super().__init__(
            f"The {of}'s database is held by others ({reason}), and the wait is over. Do the same again; "
            "where it happens often, look for a transaction that somebody left open."
        )


class StoreFullError(StoreError):
    """The database of a record store or an index has no space left."""

    def __init__(self, reason: str, of: str = _RECORD_STORE) -> None:
        """Give the database's own name for the reason, and whose it is."""
        self.reason = reason  # such as "SQLITE_FULL", or an SQLSTATE
        super().__init__(
            f"The {of}'s database is full ({reason}); what was being stored is not, and all else can be read. "
            "Make space, then do the same again."
        )


class StoreDamagedError(StoreError):
    """The database of a record store or an index is no such database, or its file is damaged."""

    def __init__(self, reason: str, of: str = _RECORD_STORE) -> None:
        """Give the database's own name for the reason, or the table that is not as it must be, and whose it is."""
        self.reason = reason  # such as "SQLITE_NOTADB"
        step = (
            "put a copy of it back and erase again what was erased since (docs/store.md)"
            if of == _RECORD_STORE
            else "make it anew from the chain"
        )
        super().__init__(f"The {of}'s database is damaged, or is no {of} ({reason}). Name another one, or {step}.")


class StoreVersionError(StoreError):
    """The tables of a record store, or the kind of store in them, are of another version or kind."""


class RecordUnknownError(StoreError):
    """A record store does not have a record."""

    def __init__(self, pointer: bytes | None = None) -> None:
        """Name the pointer, where one was asked for; a record's own id stays out of the message."""
        self.pointer = pointer  # 32 bytes
        asked = f"at pointer 0x{pointer.hex()}" if pointer else "of this type and id (or not in this version)"
        super().__init__(f"The store has no record {asked}. Check where it was posted, and who has custody now.")


class RecordErasedError(StoreError):
    """A record was erased: its key and salt are gone, and nobody can read it or prove what its pointer says."""

    def __init__(self, pointer: bytes) -> None:
        """Name the pointer."""
        self.pointer = pointer  # 32 bytes
        super().__init__(
            f"The record at pointer 0x{pointer.hex()} was erased and cannot come back. "
            "A new record of the same facts needs a new salt, and with it a new pointer."
        )


class RecordExistsError(StoreError):
    """A store has a record of this type and id already."""

    def __init__(self, pointer: bytes) -> None:
        """Name the pointer of the version in force."""
        self.pointer = pointer  # 32 bytes
        super().__init__(
            f"A record of this type and id is stored at pointer 0x{pointer.hex()}. "
            "Give that pointer as replaces to store a new version, or give the record another id."
        )


class RecordVersionError(StoreError):
    """A new version replaces one that is not the newest."""

    def __init__(self, pointer: bytes) -> None:
        """Name the pointer that was to be replaced."""
        self.pointer = pointer  # 32 bytes
        super().__init__(
            f"The record at pointer 0x{pointer.hex()} has a newer version already. "
            "Read the newest one, and decide again whether to replace it."
        )


class RecordDamagedError(StoreError):
    """A stored record, its key or its place in the tables was altered: what seals it does not open."""

    def __init__(self, pointer: bytes) -> None:
        """Name the pointer."""
        self.pointer = pointer  # 32 bytes
        super().__init__(
            f"The stored record at pointer 0x{pointer.hex()} was altered and is not shown. "
            "Put it back from a copy, and find out who can write to the database."
        )


class RecordChangedError(StoreError):
    """What a FHIR server gives is not the record that was committed to."""

    def __init__(self, pointer: bytes) -> None:
        """Name the pointer."""
        self.pointer = pointer  # 32 bytes
        super().__init__(
            f"The FHIR server's record is not the one that pointer 0x{pointer.hex()} commits to. "
            "Where it was amended there, amend the pointer; else find out who changed it."
        )


class LogDamagedError(StoreError):
    """A log on disk is not what was written to it."""

    def __init__(self, log: int, why: str) -> None:
        """Name the log and what is wrong with it."""
        self.log = log  # its number
        super().__init__(
            f"Log {log} is damaged: {why}. Nothing is appended or anchored. Put back a copy that is whole, and find "
            "out who can write to the database."
        )


class AnchorMismatchError(MedProofError):
    """What the chain has of a log is not what the log on disk says."""

    def __init__(self, log: int, size: int, why: str) -> None:
        """Name the log, the anchored size, and how the two differ."""
        self.log, self.size = log, size
        super().__init__(
            f"Log {log} and the chain differ at {size} leaves: {why}. Nothing more is anchored. Find out who changed "
            "the log or anchored another one under its number; put back a whole copy, or go on under a new number."
        )


class CursorError(StoreError):
    """A cursor is not one that this store gave for this search."""

    def __init__(self) -> None:
        """Say where a cursor comes from."""
        super().__init__("This is no cursor of this search. Give the one of the page before, with the same query.")


class MasterKeyError(StoreError):
    """A master key cannot be used, or the one that is needed is missing; the message shows nothing of a key."""


class MailboxFullError(StoreError):
    """Too many messages of one sender wait in a mailbox, or too long ones."""

    def __init__(self, sender: str) -> None:
        """Name the sender."""
        self.sender = sender  # its identity
        super().__init__(
            f"Too much of {sender} waits in the mailbox already. Ask the custodian to read it, and send it again."
        )


class FhirServerError(StoreError):
    """A FHIR server does not answer, or its answer cannot be used; the message shows nothing of it."""

    def __init__(self, server: str, rule: str, step: str, *, status: int | None = None) -> None:
        """Name the server, what is wrong with its answer and the next step."""
        self.server = server  # its base URL
        self.status = status  # of HTTP, where it answered
        super().__init__(f"The FHIR server {server} {rule}. {step}.")


class GatekeeperRefusalError(MedProofError):
    """A gatekeeper refuses a request, or cannot answer it now."""

    def __init__(self, status: int, code: str, said: str, *, retry_after: int | None = None) -> None:
        """Take the HTTP status, the reason's code, the sentence, and the seconds after which asking again may help."""
        self.status = status  # such as 403
        self.code = code  # such as "PURPOSE", of urn:medproof:reason
        self.retry_after = retry_after
        super().__init__(said)


class AccessEntryError(MedProofError):
    """What is given as an entry of an access log is none; the message shows nothing of it."""

    def __init__(self, rule: str) -> None:
        """Say what is wrong with it."""
        self.rule = rule  # such as "is no entry of an access log"
        super().__init__(f"This {rule}. Export it again from the log, or ask the custodian.")


class PromiseError(MedProofError):
    """A promise to include an entry in an access log does not count."""

    def __init__(self, why: str) -> None:
        """Say what is wrong with it."""
        self.why = why
        super().__init__(
            f"The promise about the access log does not count: {why}. Do not rely on it, and ask the custodian for one."
        )


class UnprovedRecordError(MedProofError):
    """What a gatekeeper served is not what the pointer on chain commits to; the record is not handed on."""

    def __init__(self, field: str, rule: str) -> None:
        """Name the part that does not hold, and what is wrong with it."""
        self.field = field  # such as "salt"
        super().__init__(f"{field} of the gatekeeper's answer {rule}. Do not use the record, and ask the custodian.")


class SharingError(MedProofError):
    """Root of what stops a message between parties; nothing that is said shows what a message says."""


class EncryptionKeyError(SharingError):
    """An encryption key, its text or the file of the private ones cannot be used; no message shows a private key."""


class CorrespondentError(SharingError):
    """A sender or recipient of a message is no active party, or has no key to encrypt to."""

    def __init__(self, party: str, rule: str, step: str) -> None:
        """Name the party, what it lacks and the next step."""
        self.party = party  # its identity, as given
        super().__init__(f"{party} {rule}. {step}.")


class EnvelopeError(SharingError):
    """An envelope is malformed, was altered, is for somebody else or for another chain; its content is not shown."""

    def __init__(self, field: str, rule: str) -> None:
        """Name the part that does not hold, and what is wrong with it."""
        self.field = field  # such as "signature"; empty for the whole
        said = f"{field} of the envelope" if field else "The envelope"
        super().__init__(f"{said} {rule}. Nothing of it was taken: ask its sender for another.")


class ReadReceiptError(SharingError):
    """A read receipt cannot be given, or does not show that a message was read."""

    def __init__(self, field: str, rule: str, step: str = "Ask the reader for another") -> None:
        """Name the part that does not hold, what is wrong with it and the next step."""
        self.field = field  # such as "signature"; empty for the whole
        said = f"{field} of the read receipt" if field else "The read receipt"
        super().__init__(f"{said} {rule}. {step}.")


class ClaimDocumentError(MedProofError):
    """A JSON value is no claim and no response to one; the message gives the path and shows no values."""

    def __init__(self, path: str, rule: str) -> None:
        """Name the place and the rule that it breaks."""
        self.path = path  # such as "lines[0].service"
        super().__init__(f"{path or 'The whole'} {rule}. Give what medproof.claims wrote, unchanged.")


class EligibilityError(MedProofError):
    """A text is no attestation of eligibility, or a proof is not of it; the message shows nothing of the answer."""

    def __init__(self, field: str, rule: str) -> None:
        """Name the part that does not hold, and what is wrong with it."""
        self.field = field  # such as "signature"; empty for the whole
        said = f"{field} of the attestation" if field else "The attestation"
        super().__init__(f"{said} {rule}. Ask the payer for another.")


class EligibilityRefusedError(MedProofError):
    """An attestation of eligibility is not to be relied on."""

    def __init__(self, code: str, said: str) -> None:
        """Take the reason's code and the sentence."""
        self.code = code  # such as "STALE"; medproof.claims.eligibility.REFUSALS has them
        super().__init__(said)


class DisclosureError(MedProofError):
    """A disclosure of a claim does not show what it says, or asks for a field that the claim does not have."""

    def __init__(self, path: str, rule: str, step: str = "Do not rely on it, and ask for another") -> None:
        """Name the field, what is wrong with it and the next step."""
        self.path = path  # such as "lines[0].service"; empty for the whole
        super().__init__(f"{path or 'The disclosure'} {rule}. {step}.")


class NoCliqueError(NodeError):
    """A node says nothing of the signers of a Clique network."""

    def __init__(self, origin: str, said: str) -> None:
        """Name the node, by its address without path, and what it says."""
        super().__init__(
            f"The node at {origin} says nothing of signers: {said[:200]}. This is for chains that seal by Clique "
            "(EIP-225); where this is one, ask a node that offers it (geth: --http.api eth,net,web3,clique)."
        )


class SignerVoteError(MedProofError):
    """A vote about a signer of a Clique network changes nothing, does not count, or could stop the network."""

    def __init__(self, account: str, rule: str, step: str) -> None:
        """Name the account that it is about, what is wrong and the next step."""
        self.account = account
        super().__init__(f"{account} {rule}. {step}.")


class StateUnavailableError(NodeError):
    """A node does not say or prove what the chain's state was at a block."""

    def __init__(self, block: int, said: str, step: str) -> None:
        """Name the block, what the node says, and the next step."""
        self.block = block
        super().__init__(f"The node does not give the state at block {block}: {said.rstrip('.')}. {step}.")


class EvidenceError(MedProofError):
    """A proof about the chain's state or events does not hold, or cannot be made."""

    def __init__(self, part: str, rule: str, step: str = "Do not rely on it, and ask for another") -> None:
        """Name the part that does not hold, what is wrong with it and the next step."""
        self.part = part  # such as "account", or "slot 0x…"
        super().__init__(f"The evidence's {part} {rule}. {step}.")


class CaseError(MedProofError):
    """The file of a claim's case cannot be used, or lacks what a step needs; the message shows nothing of the claim."""

    def __init__(self, part: str, rule: str, step: str = "Name the file that medproof claims wrote") -> None:
        """Name the part, what is wrong with it and the next step."""
        self.part = part  # such as "claim.lines[0]"; empty for the whole
        super().__init__(f"{part} of the case {rule}. {step}." if part else f"The case {rule}. {step}.")


class AgreementError(MedProofError):
    """A file with a party's agreement to a claim's step cannot be used for this step."""

    def __init__(self, field: str, rule: str) -> None:
        """Name the part that does not fit, and why."""
        self.field = field  # such as "claim"; empty for the whole
        said = f"{field} of the agreement" if field else "The agreement"
        super().__init__(f"{said} {rule}. Ask the party to agree to this step of this claim (--out).")


class StudyError(MedProofError):
    """A study's document, its files, or a step of the study do not fit what the chain has."""

    def __init__(self, part: str, rule: str, step: str = "Ask the study's researcher for another") -> None:
        """Name the part, what is wrong with it and the next step."""
        self.part = part  # such as "protocol"; empty for the whole
        said = f"{part} of the study" if part else "The study"
        super().__init__(f"{said} {rule}. {step}.")


class SuppressionError(MedProofError):
    """A rule for hiding small counts, or the counts that it is asked about, cannot be used."""

    def __init__(self, part: str, rule: str, step: str) -> None:
        """Name the part, what is wrong with it and the next step."""
        self.part = part  # such as "threshold"
        super().__init__(f"The suppression's {part} {rule}. {step}.")


class SmallCohortError(MedProofError):
    """A cohort is too small for its subjects to be listed; how small is not told."""

    def __init__(self, threshold: int) -> None:
        """Take the number from which on they are listed."""
        self.threshold = threshold
        super().__init__(
            f"The cohort has fewer than {threshold} subjects, and so few are not listed one by one. "
            "Ask a wider question, or say in words why they may be: --no-suppression 'WHY'."
        )


class ExportError(MedProofError):
    """An export cannot be written, or is not what its manifest says."""

    def __init__(self, part: str, rule: str, step: str = "Do not rely on it, and ask for another") -> None:
        """Name the part, what is wrong with it and the next step."""
        self.part = part  # such as "rules.csv, row 17"
        super().__init__(f"The export's {part} {rule}. {step}.")


class TokenError(MedProofError):
    """An ERC-20 token cannot be used, or an amount is none of it."""

    def __init__(self, address: str, rule: str, step: str) -> None:
        """Name the token, what is wrong and the next step."""
        self.address = address  # of the token
        super().__init__(f"The token at {address} {rule}. {step}.")


class FixedCohortError(MedProofError):
    """A file is no cohort of a study or no proof out of one, or it does not have a subject."""

    def __init__(self, part: str, rule: str, step: str = "Ask the study's researcher for another") -> None:
        """Name the part, what is wrong with it and the next step."""
        self.part = part  # such as "root"; empty for the whole
        said = f"{part} of the cohort" if part else "The cohort"
        super().__init__(f"{said} {rule}. {step}.")


class BountyError(MedProofError):
    """A bounty is not there, or not fit for a step."""

    def __init__(self, rule: str, step: str) -> None:
        """Say what is wrong and the next step."""
        super().__init__(f"The bounty {rule}. {step}.")


class StudyResultError(MedProofError):
    """A file is no custodian's answer to a study; the message shows nothing of the answer."""

    def __init__(self, part: str, rule: str) -> None:
        """Name the part and what is wrong with it."""
        self.part = part  # such as "salt"; empty for the whole
        said = f"{part} of the answer" if part else "The answer"
        super().__init__(f"{said} {rule}. Ask the custodian for another.")


class BackupError(MedProofError):
    """A backup cannot be made or restored, or is not what was made; nothing was changed."""

    def __init__(self, part: str, rule: str, step: str = "Do not rely on it, and take another") -> None:
        """Name the part, what is wrong with it and the next step."""
        self.part = part  # such as "records.db"
        super().__init__(f"The backup's {part} {rule}. {step}.")


class MigrationError(MedProofError):
    """A migration's file, or a step of it, is not what the two deployments say."""

    def __init__(self, part: str, rule: str, step: str = "Export it anew") -> None:
        """Name the part, what is wrong with it and the next step."""
        self.part = part  # such as "steps[3]"; empty for the whole
        said = f"The migration's {part}" if part else "The migration's file"
        super().__init__(f"{said} {rule}. {step}.")
