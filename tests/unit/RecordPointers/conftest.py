from __future__ import annotations

from types import SimpleNamespace

import pytest
from brownie import web3
from eth_abi import encode

from medproof import messages
from medproof.merkle import MerkleLog
from tests.support.fixtures import CREDENTIAL, DAY, SALTED

LABORATORY = 1
REASON = b"\x33" * 32
POINTERS_SLOT = 2  # as in the committed storage layout


@pytest.fixture(scope="module", autouse=True)
def everybody(parties):
    """Every test here needs the parties."""


@pytest.fixture
def post(record_pointers, clinic, patient):
    """Post a pointer, the clinic for the patient, changed as the keywords say; returns its id."""

    def posted(*, subject=patient, custodian=clinic, commitment=SALTED):
        return str(record_pointers.post(subject, LABORATORY, commitment, {"from": custodian}).return_value)

    return posted


@pytest.fixture
def pointer(post):
    """The id of a pointer that the clinic posted for the patient, with the commitment SALTED."""
    return post()


@pytest.fixture
def amended(pointer, record_pointers, clinic, patient):
    """The id of the pointer that replaced `pointer`, with the commitment 44…44."""
    return str(record_pointers.amend(patient, clinic, SALTED, b"\x44" * 32, {"from": clinic}).return_value)


@pytest.fixture
def pass_custody(record_pointers, patient, clinic):
    """Let the custody of the clinic's pointer pass to another provider."""

    def passed(to, *, origin=clinic, holder=clinic, commitment=SALTED):
        record_pointers.offerCustody(patient, origin, commitment, to, {"from": holder})
        return record_pointers.takeCustody(patient, origin, commitment, {"from": to})

    return passed


@pytest.fixture(params=["suspended", "lapsed", "removed"])
def lose_standing(request, registrar, chain, admin):
    """Take a party's standing, in each way there is."""

    def lose(party):
        if request.param == "suspended":
            registrar.suspend(party, {"from": admin})
        elif request.param == "removed":
            registrar.remove(party, {"from": admin})
        else:
            last_day = chain.time() // DAY + 1
            registrar.renew(party, CREDENTIAL, last_day, {"from": admin})
            chain.mine(timestamp=(last_day + 1) * DAY)

    return lose


@pytest.fixture
def rotate(registrar):
    """Let a party act by another account from now on."""

    def rotated(party, new):
        registrar.offerAccount(new, {"from": registrar.accountOf(party)})
        registrar.takeAccount(party, {"from": new})

    return rotated


@pytest.fixture
def write_word(record_pointers):
    """Write a pointer's word into storage, for states that take years of transactions to reach."""

    def write(pointer, *, custodian, status=1, version=1, sequence=1):
        word = int(custodian.address, 16) | LABORATORY << 160 | status << 168 | version << 176 | sequence << 192
        slot = web3.keccak(bytes.fromhex(pointer[2:]) + POINTERS_SLOT.to_bytes(32, "big"))
        arguments = [record_pointers.address, "0x" + bytes(slot).hex(), f"0x{word:064x}"]
        assert web3.provider.make_request("evm_setAccountStorageAt", arguments).get("result") is True

    return write


# -- answers ----------------------------------------------------------------------------------------------------


@pytest.fixture
def wallet(ContractWallet, patient):  # noqa: N803 - Brownie's name
    """A contract wallet that the patient owns."""
    return ContractWallet.deploy(patient, {"from": patient})


class Answers:
    """Builds, signs and sends the signed answers of a subject: `acceptFor` or `disputeFor`."""

    def __init__(self, verb, contract, relayer, sign, domain, fields):
        self.verb, self.contract, self.relayer, self.sign = verb, contract, relayer, sign
        self.domain = domain
        self.fields = {**fields, **({"reason": REASON} if verb == "dispute" else {})}
        order = ("subject", "custodian", "commitment", "reason", "sequence", "deadline")
        self.order = [name for name in order if name in self.fields]

    def method(self):
        return self.contract.acceptFor if self.verb == "accept" else self.contract.disputeFor

    def signature(self, signer, *, domain=None, **changes):
        """The signer's signature over the answer, changed as the keywords say."""
        message = messages.acceptance if self.verb == "accept" else messages.dispute
        fields = {**self.fields, **changes}
        addressed = {name: str(fields[name]) for name in ("subject", "custodian")}
        return self.sign(signer, message(domain or self.domain, **{**fields, **addressed}))

    def arguments(self, signature, **changes):
        return [*({**self.fields, **changes}[name] for name in self.order), signature]

    def send(self, signature, **changes):
        """Send the answer, changed as the keywords say, with this signature."""
        return self.method()(*self.arguments(signature, **changes), {"from": self.relayer})

    def call(self, signature, *, gas=500_000, **changes):
        """The same as a call, as of the latest block."""
        return self.method().call(*self.arguments(signature, **changes), {"from": self.relayer, "gas_limit": gas})


@pytest.fixture
def answers(record_pointers, relayer, sign, domain_of, deadline, patient, clinic):
    """The signed answers of a verb: ``answers("accept")``, to the patient's pointer from the clinic."""

    def made(verb, **changes):
        fields = {
            "subject": patient,
            "custodian": clinic,
            "commitment": SALTED,
            "sequence": 1,
            "deadline": deadline,
            **changes,
        }
        return Answers(verb, record_pointers, relayer, sign, domain_of(record_pointers), fields)

    return made


@pytest.fixture(params=["direct", "signed", "wallet direct", "wallet signed"])
def answering(request, chain, record_pointers, answers, post, patient, wallet, clinic):
    """A subject and how it answers: itself or by a signature that a relayer sends; by a key or a contract wallet."""
    subject = wallet if "wallet" in request.param else patient

    def answer(verb, *arguments, origin=clinic, commitment=SALTED):
        if "signed" in request.param:
            pointer = record_pointers.pointerId(subject, origin, commitment)
            sequence = record_pointers.pointerOf(pointer)["sequence"]
            changes = {"subject": subject, "custodian": origin, "commitment": commitment, "sequence": sequence}
            signed = answers(verb, deadline=chain.time() + 3600, **changes)
            if arguments:
                signed.fields["reason"] = arguments[0]
            return signed.send(signed.signature(patient))
        method = record_pointers.accept if verb == "accept" else record_pointers.dispute
        if subject == patient:
            return method(origin, commitment, *arguments, {"from": patient})
        data = method.encode_input(origin, commitment, *arguments)
        return wallet.execute(record_pointers, data, {"from": patient})

    def accept(**changes):
        return answer("accept", **changes)

    def dispute(reason=REASON, **changes):
        return answer("dispute", reason, **changes)

    return SimpleNamespace(
        subject=subject,
        accept=accept,
        dispute=dispute,
        post=lambda **changes: post(subject=subject, **changes),
    )


# -- batches ----------------------------------------------------------------------------------------------------


def leaf_of(subject, origin, data_class, commitment):
    """What stands for a pointer in a batch, computed apart from contract and package."""
    pointer = web3.keccak(encode(["address", "address", "bytes32"], [str(subject), str(origin), commitment]))
    return bytes(web3.keccak(encode(["bytes32", "uint8"], [pointer, data_class])))


class Batch:
    """Pointers under one root; each is given as (subject, origin, data class, commitment)."""

    def __init__(self, entries):
        self.entries = list(entries)
        self.log = MerkleLog(leaf_of(*entry) for entry in self.entries)
        self.root, self.size = self.log.root(), len(self.entries)

    def place(self, index, /, **changes):
        """Where a pointer stands, as `open` takes it; changed as the keywords say."""
        place = {"root": self.root, "index": index, "proof": list(self.log.inclusion_proof(index)), **changes}
        return (place["root"], place["index"], place["proof"])


OPENED = 4  # the index of the patient's pointer with the commitment SALTED, the last of the batch


@pytest.fixture
def batch_of(record_pointers):
    """Post a batch of these pointers: ``batch_of(custodian, entries, size=…)``."""

    def posted(custodian, entries, *, size=None):
        batch = Batch(entries)
        record_pointers.postBatch(batch.root, size or batch.size, {"from": custodian})
        return batch

    return posted


@pytest.fixture
def entries(clinic, patient, second_patient):
    """Five pointers of the clinic's for two patients."""
    commitments = [bytes([number]) * 32 for number in range(1, OPENED + 1)]
    others = [
        (subject, clinic, 3, one) for subject, one in zip([patient, second_patient] * 2, commitments, strict=True)
    ]
    return [*others, (patient, clinic, LABORATORY, SALTED)]


@pytest.fixture
def batch(batch_of, clinic, entries):
    """They stand on the chain, under one root."""
    return batch_of(clinic, entries)


@pytest.fixture
def open_(record_pointers):
    """Open a pointer of a batch, changed as the keywords say: ``open_(batch, by)``."""

    def opened(batch, by, index=OPENED, *, entry=None, place=None, deadline=0, signature=b"", call=False):
        method = record_pointers.open.call if call else record_pointers.open
        arguments = (*(entry or batch.entries[index]), place or batch.place(index), deadline, signature)
        return method(*arguments, {"from": by})

    return opened


@pytest.fixture
def sign_opening(record_pointers, sign, domain_of, deadline):
    """Sign an opening of an entry, changed as the keywords say: ``sign_opening(signer, entry)``."""

    def signed(signer, entry, **changes):
        names = ("subject", "custodian", "data_class", "commitment")
        said = {**dict(zip(names, entry, strict=True)), "deadline": deadline, **changes}
        said.update({name: str(said[name]) for name in ("subject", "custodian")})
        return sign(signer, messages.opening(said.pop("domain", domain_of(record_pointers)), **said))

    return signed
