import type { DiagnosticDefinition } from "./definition.ts";
import { EFFECT_DIAGNOSTICS } from "./registry-effect.ts";
import { IMPORT_DIAGNOSTICS } from "./registry-import.ts";
import { MEANING_DIAGNOSTICS } from "./registry-meaning.ts";
import { REFERENCE_DIAGNOSTICS } from "./registry-references.ts";
import { RISK_DIAGNOSTICS } from "./registry-risk.ts";
import { SCHEMA_DIAGNOSTICS } from "./registry-schema.ts";
import { SYNTAX_DIAGNOSTICS } from "./registry-syntax.ts";

const ALL = {
  ...SYNTAX_DIAGNOSTICS,
  ...SCHEMA_DIAGNOSTICS,
  ...IMPORT_DIAGNOSTICS,
  ...MEANING_DIAGNOSTICS,
  ...EFFECT_DIAGNOSTICS,
  ...RISK_DIAGNOSTICS,
  ...REFERENCE_DIAGNOSTICS,
} as const;

export type DiagnosticCode = keyof typeof ALL;

/** Every code that reading and checking can report. */
export const DIAGNOSTICS: Readonly<Record<DiagnosticCode, DiagnosticDefinition>> = ALL;
