"""Imports inside the package point down, and nothing happens at import."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local_chain import ROOT

PACKAGE = ROOT / "medproof"
FORBIDDEN = {"brownie", "solcx", "vyper", "yaml", "pytest", "hypothesis", "scripts", "tests", "bench"}

CONSOLE = {"rich", "typer"}  # for the command line alone: an app that imports the clients loads neither

# From the top down: a module imports from rows below its own. A new module gets its place here.
LAYERS = (
    {"cli"},
    {"cli.app"},
    {"cli.research", "cli.verify"},
    {
        "cli.access",
        "cli.anchor",
        "cli.backup",
        "cli.bounty",
        "cli.claim_decisions",
        "cli.claim_review",
        "cli.claim_steps",
        "cli.claim_visit",
        "cli.claims",
        "cli.consent",
        "cli.delegate",
        "cli.deploy",
        "cli.device",
        "cli.doctor",
        "cli.duo",
        "cli.emergency",
        "cli.evidence",
        "cli.exchange",
        "cli.explore",
        "cli.gateway",
        "cli.group",
        "cli.guardians",
        "cli.index",
        "cli.key",
        "cli.message",
        "cli.migrate",
        "cli.network",
        "cli.party",
        "cli.pointers",
        "cli.prescription",
        "cli.receipts",
        "cli.record_import",
        "cli.records",
        "cli.relay",
        "cli.research_export",
        "cli.rotation",
        "cli.study",
        "cli.study_cohort",
        "cli.wallet",
        "cli.x12",
    },
    {"cli.credential", "cli.custodians", "cli.encryption", "cli.listing"},
    {"cli.hands", "cli.study_files"},
    {
        "cli.agreements",
        "cli.cases",
        "cli.claim_standing",
        "cli.datasets",
        "cli.findings",
        "cli.questions",
        "cli.sending",
    },
    {"cli.documents", "cli.rules", "cli.session"},
    {"cli.operating"},
    {"cli.options", "cli.output"},
    {"sharing"},
    {"sharing.read_receipt"},
    {"sharing.sealing"},
    {"sharing.envelope"},
    {"sharing.content"},
    {"sharing.keys", "sharing.typed_data"},
    {"explore"},
    {"explore.app", "explore.copy"},
    {"explore.explorer"},
    {"explore.matching", "explore.pages", "explore.studying"},
    {"explore.asking"},
    {"explore.showing"},
    {"explore.site"},
    {"explore.parameters", "explore.registry"},
    {"gateway"},
    {"gateway.client", "gateway.custody", "gateway.device_client", "gateway.mailbox_client", "gateway.server"},
    {"gateway.witness"},
    {"gateway.app"},
    {
        "gateway.routes",
        "gateway.routes.access",
        "gateway.routes.devices",
        "gateway.routes.forms",
        "gateway.routes.messages",
        "gateway.routes.operations",
        "gateway.routes.records",
    },
    {"gateway.http"},
    {"gateway.promises"},
    {"gateway.service", "gateway.web"},
    {"gateway.readings", "gateway.sessions", "gateway.taking"},
    {"gateway.authentication", "gateway.consent", "gateway.outcome", "gateway.posting"},
    {
        "gateway.limits",
        "gateway.moment",
        "gateway.observation",
        "gateway.proof",
        "gateway.settings",
        "gateway.signature",
        "gateway.telemetry",
    },
    {"claims.nullifier_tree"},
    {"research.coverage", "research.flows"},
    {"research.intervals"},
    {"claims.audit"},
    {"claims.logged"},
    {"access.entry_log", "claims.event_log"},
    {"access"},
    {"access.verification"},
    {"access.export"},
    {"access.promise"},
    {"access.entry"},
    {"research"},
    {"research.row_proof"},
    {"research.checking"},
    {"research.export"},
    {"research.consents", "research.formats", "research.question_json"},
    {"research.periods"},
    {"research.dictionary", "research.manifest", "research.rows", "research.suppression"},
    {"research.cohort"},
    {"research.dataset"},
    {"research.folder"},
    {"research.matching", "research.parties", "research.source", "research.statement"},
    {"research.arrays"},
    {"research.columns"},
    {"consents"},
    {"indexer"},
    {"indexer.studies", "indexer.telemetry"},
    {"indexer.indexer", "indexer.view"},
    {"indexer.index"},
    {"indexer.event_codec", "indexer.histories", "indexer.node", "indexer.schema"},
    {"indexer.migrations.m0002_studies", "indexer.migrations.m0003_roll_backs"},
    {"indexer.migrations", "indexer.migrations.m0001_index"},
    {"anchoring"},
    {"anchoring.anchorer", "anchoring.document_log"},
    {"anchoring.named_log"},
    {"anchoring.leaf_log"},
    {"anchoring.leaf_tree"},
    {"store"},
    {"store.fhir_server_store"},
    {"store.sql_store"},
    {"store.records"},
    {"store.batches", "store.mailbox", "store.readings"},
    {"store.database", "store.keys", "store.schema"},
    {
        "store.migrations",
        "store.migrations.m0001_records",
        "store.migrations.m0002_logs",
        "store.migrations.m0003_batches",
        "store.migrations.m0004_readings",
        "store.migrations.m0005_documents",
        "store.migrations.m0006_messages",
        "store.migrations.m0007_claim_events",
    },
    {"migration"},
    {"migration.running"},
    {"migration.export", "migration.signing"},
    {"migration.calls"},
    {"migration.comparison"},
    {"migration.parties", "migration.subjects"},
    {"migration.rules"},
    {"migration.carrying"},
    {"migration.state", "migration.step"},
    {"migration.nullifiers"},
    {"migration.events", "migration.left"},
    {"relayer", "relayer.telemetry", "timeline"},
    {"relayer.service"},
    {"relayer.batch", "relayer.following"},
    {"x12.answers"},
    {"claims.eligibility", "reading_proof", "relayer.queue"},
    {"sending"},
    {"sending.manager"},
    {"sending.dispatching"},
    {"sending.following"},
    {"sending.work"},
    {"sending.node", "sending.sender", "sending.store"},
    {"sending.schema"},
    {"sending.fees", "sending.telemetry", "sending.transaction"},
    {"leaf_proof", "receipt", "recovery", "sealed_prescription", "study_result"},
    {"claims.case", "claims.steps", "evidence.consent_prover"},
    {"client"},
    {"client.facade"},
    {"evidence.consent_file"},
    {"evidence.consent"},
    {"client.incentives"},
    {
        "client.access_log",
        "client.batch_anchor",
        "client.claim_anchor",
        "client.consent_registry",
        "client.delegations",
        "client.devices",
        "client.prescriptions",
        "client.record_pointers",
        "client.registrar",
        "client.studies",
        "client.token",
    },
    {"client.break_glass"},
    {"client.contract"},
    {"reading"},
    {"evidence"},
    {"evidence.suite_state"},
    {"evidence.state_proof", "evidence.transaction_proof"},
    {"evidence.header"},
    {"evidence.storage", "evidence.trie"},
    {"examination", "external_signers", "network_signers", "source_publication"},
    {"signatures", "wallet"},
    {"deployments"},
    {"deployments.deploying"},
    {"deployments.planning"},
    {"deployments.roles", "deployments.verifying"},
    {"deployments.factory", "deployments.manifest", "deployments.safes"},
    {"chain"},
    {"standard_input"},
    {"artifacts", "decoding", "networks", "packed_calls", "signing"},
    {"contract_errors", "messages", "raw_transaction"},
    {"x12"},
    {"x12.reading"},
    {"x12.claims", "x12.eligibility", "x12.remittance", "x12.status"},
    {"x12.writing"},
    {"x12.hierarchy"},
    {"x12.codes"},
    {"x12.interchange"},
    {"x12.segment"},
    {"fhir"},
    {"fhir.consent"},
    {"fhir.consent.compiler", "fhir.consent.records", "fhir.consent.renderer"},
    {"fhir.consent.reading"},
    {"fhir.consent.limits"},
    {"fhir.consent.boxes", "fhir.consent.vocabulary"},
    {"fhir.claim_response", "fhir.coverage"},
    {"fhir.claims"},
    {"fhir.classification", "fhir.differences", "fhir.medication", "fhir.period"},
    {"fhir.elements"},
    {"fhir.resource"},
    {"fhir.structure"},
    {"claims.matching", "claims.response"},
    {"claims.disclosure"},
    {"claims.document"},
    {"claims.fraud"},
    {"claims.fraud.selection", "claims.fraud.report"},
    {"claims.fraud.injection", "claims.fraud.ledger"},
    {"claims.fraud.bill"},
    {"claims.adjudication"},
    {"claims.keyring", "claims.plan"},
    {"claims.checking", "claims.nullifier"},
    {"claims.currency", "claims.names"},
    {"claims"},
    {"claims.coverage"},
    {"claims.claim"},
    {"policy"},
    {"policy.study"},
    {"policy.document", "policy.duo", "policy.emergency", "policy.explanation"},
    {"policy.delegation", "policy.device", "policy.evaluation", "policy.prescription", "policy.request_json"},
    {"policy.word"},
    {"policy.sentence"},
    {"policy.phrases"},
    {"policy.codes"},
    {"fixed_cohort"},
    {"backup"},
    {"json_reader"},
    {"indexed_merkle"},
    {"hashing", "json_http", "key_file", "merkle", "metrics", "new_folder", "telemetry"},
    {"errors"},
    {""},  # medproof itself, which knows its version
)
ROW = {name: number for number, names in enumerate(LAYERS) for name in names}


def modules() -> dict[str, Path]:
    """Every module by its name below `medproof`."""
    names = {}
    for path in PACKAGE.rglob("*.py"):
        parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


MODULES = modules()


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything in a module but what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            yield from statements(node)


def imports(path: Path) -> Iterator[str]:
    """The full names of all modules that a module imports, wherever in it."""
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where they point"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}".removeprefix("medproof.")
                yield f"medproof.{inner}" if node.module.startswith("medproof") and inner in MODULES else node.module


def test_every_module_has_its_place() -> None:
    assert set(MODULES) == set(ROW)


@pytest.mark.parametrize("name", sorted(MODULES), ids=lambda name: name or "medproof")
def test_imports_point_down(name: str) -> None:
    for target in imports(MODULES[name]):
        top, _, inner = target.partition(".")
        assert top not in FORBIDDEN, f"{name} imports {target}"
        assert top not in CONSOLE or name.startswith("cli."), f"{name} imports {target}"
        if top == "medproof":
            assert ROW[inner] > ROW[name], f"{name} imports {inner or 'medproof'}, which does not lie below it"


IMPORT_ALL = """
import importlib, json, sys, threading
names, seen = json.loads(sys.argv[1]), []
for name in names:
    importlib.import_module(name)
loaded = sorted(sys.modules)
for name in names:  # what others do at import is theirs; ours is imported a second time, and watched
    del sys.modules[name]
def watch(event, arguments):
    writing = event == "open" and (
        (isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")) or (arguments[2] or 0) & 0x3
    )
    acting = event.startswith(("socket.connect", "socket.bind", "subprocess.", "os.mkdir", "os.rename", "os.remove"))
    if writing or acting:
        seen.append((event, str(arguments[0])))
sys.addaudithook(watch)
for name in names:
    importlib.import_module(name)
print(json.dumps([seen, threading.active_count(), loaded]))
"""


def test_nothing_happens_at_import(tmp_path: Path) -> None:
    names = json.dumps([f"medproof.{name}" if name else "medproof" for name in MODULES])
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path)}
    output = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, names], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    seen, threads, loaded = json.loads(output.stdout)
    assert seen == []
    assert threads == 1
    assert not FORBIDDEN & {name.partition(".")[0] for name in loaded}
    assert output.stderr == ""
    assert not list(tmp_path.iterdir())
