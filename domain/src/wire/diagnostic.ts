import { create } from "@bufbuild/protobuf";
import {
  DiagnosticSchema,
  SourceRangeSchema,
  type Diagnostic as WireDiagnostic,
  Severity as WireSeverity,
  type SourceRange as WireSourceRange,
} from "@wardline/api/wardline/v1/error";
import type { Diagnostic, Severity } from "../policy/diagnostic.ts";
import type { SourceRange } from "../policy/model.ts";

const SEVERITY_TO_WIRE: Record<Severity, WireSeverity> = {
  error: WireSeverity.ERROR,
  warning: WireSeverity.WARNING,
  info: WireSeverity.INFO,
};

export function toWireSourceRange(source: SourceRange): WireSourceRange {
  return create(SourceRangeSchema, source);
}

export function fromWireSourceRange(source: WireSourceRange): SourceRange {
  const { file, line, column, endLine, endColumn } = source;
  return { file, line, column, endLine, endColumn };
}

export function toWireDiagnostic(diagnostic: Diagnostic): WireDiagnostic {
  const wire = create(DiagnosticSchema, {
    code: diagnostic.code,
    severity: SEVERITY_TO_WIRE[diagnostic.severity],
    message: diagnostic.message,
    source: toWireSourceRange(diagnostic.source),
  });
  if (diagnostic.fix) {
    wire.fix = {
      $typeName: "wardline.v1.Fix",
      title: diagnostic.fix.title,
      edits: diagnostic.fix.edits.map((edit) => ({
        $typeName: "wardline.v1.TextEdit",
        range: toWireSourceRange(edit.range),
        newText: edit.newText,
      })),
    };
  }
  return wire;
}

const NOWHERE: SourceRange = { file: "", line: 1, column: 1, endLine: 1, endColumn: 1 };

export function fromWireDiagnostic(wire: WireDiagnostic): Diagnostic {
  const severity: Severity =
    wire.severity === WireSeverity.ERROR ? "error" : wire.severity === WireSeverity.WARNING ? "warning" : "info";
  return {
    code: wire.code,
    severity,
    message: wire.message,
    source: wire.source ? fromWireSourceRange(wire.source) : NOWHERE,
    fix: wire.fix
      ? {
          title: wire.fix.title,
          edits: wire.fix.edits.map((edit) => ({
            range: edit.range ? fromWireSourceRange(edit.range) : NOWHERE,
            newText: edit.newText,
          })),
        }
      : null,
  };
}
