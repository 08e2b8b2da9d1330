/** The policy engine's word on a whole set. What did not change since the last time is not read again. */

import type { DocumentVersion } from "@wardline/api/wardline/v1/cluster";
import { toSourceFiles } from "@wardline/domain/cluster";
import { createPolicyReader, type Diagnostic, type PolicyReader, type SourceFile } from "@wardline/domain/policy";
import * as refuse from "./refusals.ts";

/** What is kept of a large set when nobody writes. */
const FORGET_AFTER_MS = 15 * 60_000;

export class SetValidator {
  #reader: PolicyReader | null = null;
  #timer: NodeJS.Timeout | null = null;

  /**
   * Warnings and notices of a set without errors. They are left out unless asked for: finding them takes most of the time.
   * Throws `Failure` POLICY_INVALID with every diagnostic.
   */
  check(documents: Iterable<DocumentVersion>, nowUnixMs: number, withWarnings: boolean): readonly Diagnostic[] {
    const files = filesOf(documents);
    this.#reader ??= createPolicyReader();
    this.#remindToForget();
    const { ok, diagnostics } = this.#reader.read(files, { nowUnixMs, errorsOnly: !withWarnings });
    if (!ok)
      throw refuse.policyErrors(withWarnings ? diagnostics : this.#reader.read(files, { nowUnixMs }).diagnostics);
    return withWarnings ? diagnostics : [];
  }

  forget(): void {
    this.#reader = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #remindToForget(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.forget(), FORGET_AFTER_MS).unref();
  }
}

/** The documents that are there, as the engine takes them. */
export function filesOf(documents: Iterable<DocumentVersion>): SourceFile[] {
  const present: DocumentVersion[] = [];
  for (const document of documents) if (!document.deleted) present.push(document);
  return toSourceFiles(present);
}
