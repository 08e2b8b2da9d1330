/** What an inventory file says about machines, whatever its format. */
import type { Diagnostic, Severity } from "../../policy/diagnostic.ts";

export const INVENTORY_LIMITS = {
  /** UTF-16 code units; 1 MiB of ASCII. */
  maxLength: 1024 * 1024,
  maxHosts: 1_000,
  maxGroups: 1_000,
  /** Of variables that are kept, over all hosts and groups. */
  maxVariables: 50_000,
  maxDiagnostics: 200,
} as const;

export type InventoryFormat = "wardline" | "ansible-yaml" | "ansible-ini" | "lines";

export const ENVIRONMENT_COLORS = ["red", "amber", "blue", "green", "grey"] as const;
export type EnvironmentColorName = (typeof ENVIRONMENT_COLORS)[number];

export interface InventoryHost {
  readonly alias: string;
  readonly address: string;
  /** 0 = as configured. */
  readonly port: number;
  /** Empty = as configured, as for the others below. */
  readonly user: string;
  readonly identityFiles: readonly string[];
  readonly jump: string;
  readonly agentSocket: string;
  /** Sorted. */
  readonly groups: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  readonly environment: { readonly name: string; readonly color: EnvironmentColorName } | null;
  /** From 1. */
  readonly line: number;
}

export interface InventoryReading {
  readonly format: InventoryFormat;
  /** In the order of the file. */
  readonly hosts: readonly InventoryHost[];
  /** By line. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * What can be wrong with an inventory: WL501 cannot be read, WL502 unknown field, WL503 value not accepted, WL504 named
 * twice, WL505 too much, WL506 left out on purpose, WL507 groups that do not fit together.
 */
const SEVERITIES = {
  WL501: "error",
  WL502: "warning",
  WL503: "error",
  WL504: "error",
  WL505: "error",
  WL506: "warning",
  WL507: "warning",
} as const satisfies Record<string, Severity>;

export type InventoryCode = keyof typeof SEVERITIES;

export class InventoryProblems {
  readonly #file: string;
  readonly #lineLengths: readonly number[];
  readonly #list: Diagnostic[] = [];
  #omittedCount = 0;

  constructor(file: string, text: string) {
    this.#file = file;
    this.#lineLengths = text.split("\n").map((line) => line.length);
  }

  /** True once nothing more is listed: then no work is worth spending on a hint. */
  get isFull(): boolean {
    return this.#list.length >= INVENTORY_LIMITS.maxDiagnostics;
  }

  /** About a whole line, or a part of it (columns from 1, the end exclusive). */
  report(code: InventoryCode, line: number, message: string, column = 1, endColumn?: number): void {
    if (this.isFull) {
      this.#omittedCount++;
      return;
    }
    const end = endColumn ?? (this.#lineLengths[line - 1] ?? 0) + 1;
    this.#list.push({
      code,
      severity: SEVERITIES[code],
      message,
      source: { file: this.#file, line, column, endLine: line, endColumn: Math.max(column, end) },
      fix: null,
    });
  }

  finish(others: readonly Diagnostic[]): readonly Diagnostic[] {
    const all = [...others, ...this.#list].sort((one, other) => one.source.line - other.source.line);
    const last = all.at(-1);
    if (this.#omittedCount === 0 || !last) return all;
    const message = `${this.#omittedCount} more problems are not listed.`;
    return [...all, { ...last, code: "WL505", severity: "warning", message }];
  }
}

export function shown(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
