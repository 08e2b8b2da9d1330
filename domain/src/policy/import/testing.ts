/** For tests of the readers of foreign documents. */
import type { Diagnostic } from "../diagnostic.ts";
import type { Policy, PolicyWorld } from "../model.ts";
import { type ReadResult, readPolicyFiles } from "../read.ts";

export function readForeign(text: string, more = ""): ReadResult {
  const files = [{ path: "foreign.yaml", text }];
  return readPolicyFiles(more === "" ? files : [...files, { path: "more.yaml", text: more }]);
}

/** `WL250 at 7: message` of errors and warnings, without the checks of meaning. */
export function refusals({ diagnostics }: { readonly diagnostics: readonly Diagnostic[] }): readonly string[] {
  return diagnostics
    .filter(({ code }) => code.startsWith("WL2"))
    .map(({ code, source }) => `${code} at ${source.line}`);
}

/** What a policy says, without where it says it. */
export function meaningOf(world: PolicyWorld): readonly object[] {
  return world.policies.map(({ key, tier, priority, subject, isolates, rules }: Policy) => ({
    key,
    tier,
    priority,
    subject,
    isolates,
    rules: rules.map(({ direction, action, peers, ports }) => ({
      direction,
      action,
      peers: peers?.map(({ source: _, ...peer }) => peer) ?? null,
      ports: ports?.map(({ source: _, ...port }) => port) ?? null,
    })),
  }));
}
