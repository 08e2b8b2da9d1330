/** Names that DNS answers on the hosts gave to addresses that nothing else names. */
import type { FlowQuery } from "@wardline/domain/flows";
import type { QueryPorts } from "./records.ts";

const MAX_ADDRESSES = 150;
const MAX_GROUPS = 500;
/** An answer without names is better than one that is late. */
const TIMEOUT_MS = 1_500;

/** Of the window, by address. Empty when it would take long; never fails for itself. */
export async function observedNames(
  { history, book }: QueryPorts,
  { sinceMs, untilMs }: FlowQuery,
  given: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  const addresses = [...new Set(given)].slice(0, MAX_ADDRESSES);
  if (addresses.length === 0) return names;
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const options = { order: "connections" as const, limit: MAX_GROUPS, labels: book.known().labels };
  const read = async (
    field: "src" | "dst",
    by: readonly ["source" | "destination", "source-name" | "destination-name"],
  ) => {
    const where = { kind: "field" as const, field, values: addresses };
    for await (const { groups } of history.group({ where, sinceMs, untilMs }, { ...options, by }, bounded)) {
      for (const { values } of groups) {
        const [address = "", name = ""] = values;
        if (name !== "" && !names.has(address)) names.set(address, name);
      }
    }
  };
  try {
    await read("dst", ["destination", "destination-name"]);
    await read("src", ["source", "source-name"]);
  } catch (error) {
    if (!bounded.aborted) throw error;
  }
  return names;
}
