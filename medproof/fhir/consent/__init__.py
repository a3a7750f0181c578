"""FHIR R4 Consent to rules and back; docs/fhir-consent.md says what each element becomes."""

from medproof.fhir.consent.compiler import MOST_RULES, CompiledConsent, compile_consent
from medproof.fhir.consent.limits import Bound
from medproof.fhir.consent.records import record_tags
from medproof.fhir.consent.renderer import render_consent

__all__ = ["MOST_RULES", "Bound", "CompiledConsent", "compile_consent", "record_tags", "render_consent"]
