import { AuditState } from "@wardline/api/wardline/console/v1/audit";
import { VerdictMark, visibleText } from "../../../ui/index.ts";

export const ROLES: Readonly<Record<number, string>> = { 0: "", 1: "viewer", 2: "operator", 3: "admin" };

export const OUTCOMES = [
  { value: "", label: "Every outcome" },
  { value: "done", label: "done" },
  { value: "started", label: "started" },
  { value: "failed", label: "failed" },
  { value: "refused", label: "refused" },
  { value: "automatic", label: "automatic" },
];

const MARKS: Readonly<Record<string, "allow" | "deny" | "observed">> = {
  done: "allow",
  failed: "deny",
  refused: "deny",
  started: "observed",
};

export function outcomeMark(outcome: string) {
  return <VerdictMark verdict={MARKS[outcome] ?? "unknown"} words={visibleText(outcome) || "unknown"} />;
}

/** How a log stands, as a person says it. */
export const STATES: Readonly<Record<AuditState, readonly ["allow" | "deny" | "observed" | "unknown", string]>> = {
  [AuditState.UNSPECIFIED]: ["unknown", "not known"],
  [AuditState.VERIFIED]: ["allow", "whole"],
  [AuditState.BROKEN]: ["deny", "broken"],
  [AuditState.TRUNCATED]: ["deny", "cut"],
  [AuditState.FORKED]: ["deny", "written anew"],
  [AuditState.UNKNOWN]: ["unknown", "not asked"],
};
