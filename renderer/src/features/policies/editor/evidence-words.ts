import type { RuleMark, TestMark } from "@wardline/domain/policy/language";
import { formatClock } from "../../../ui/time.ts";

const count = (value: number): string => value.toLocaleString("en");

const STATUS_WORDS: Record<TestMark["status"], string> = {
  holds: "Test holds",
  fails: "Test fails",
  vacuous: "Test shows nothing",
  refused: "Test cannot be asked",
};

export function testNote({ status, name, text, because, decidedAt }: TestMark): string {
  const parts = [
    `${STATUS_WORDS[status]}: ${name}.`,
    text === "" ? "" : `${text}.`,
    because === "" ? "" : `Wanted because: ${because}.`,
    decidedAt ? `Click: ${decidedAt.file} line ${decidedAt.line}.` : "",
  ];
  return parts.filter((part) => part !== "").join(" ");
}

/** `1.2k`: four characters at most. */
export function shortCount(value: number): string {
  if (value < 1_000) return String(value);
  if (value < 10_000) return `${(Math.floor(value / 100) / 10).toFixed(1)}k`;
  if (value < 1_000_000) return `${Math.floor(value / 1_000)}k`;
  return value < 1_000_000_000 ? `${Math.floor(value / 1_000_000)}M` : `${Math.floor(value / 1_000_000_000)}G`;
}

/** @param isTouched by some test; `null` = no tests were run */
export function ruleNote({ rule, use }: RuleMark, isTouched: boolean | null): { glyph: string; note: string } {
  const tested = isTouched === null ? "" : isTouched ? " A test touches it." : " No test touches it.";
  const hits = use && use.hostCount > 0 ? use.packets : null;
  const counted = use?.countedAtUnixMs ? `, counted ${formatClock(use.countedAtUnixMs)}` : "";
  const hit =
    hits === null
      ? " No host counts it so far."
      : ` Hit ${count(hits)} times on ${count(use?.hostCount ?? 0)} ${use?.hostCount === 1 ? "host" : "hosts"}${counted}.`;
  const flows = use && use.flows > 0 ? ` It decided ${count(use.flows)} recorded flows.` : "";
  return { glyph: hits === null ? (isTouched ? "◆" : "◇") : shortCount(hits), note: `${rule}:${hit}${flows}${tested}` };
}
