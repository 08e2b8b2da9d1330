/** What was discovered, as a record keeps it. */
import type { DiscoveredEndpoint } from "@wardline/domain/cluster";
import { CorruptStateError, fields, list, text } from "./recordFields.ts";

export function encodeDiscovered(discovered: readonly DiscoveredEndpoint[]): readonly object[] {
  return discovered.map(({ labels, ...rest }) => ({ ...rest, labels: [...labels] }));
}

/** Throws {@link CorruptStateError}. */
export function decodeDiscovered(value: unknown): readonly DiscoveredEndpoint[] {
  return list(value, "the list of what was discovered").map((entry) => {
    const from = fields(entry, "a discovered endpoint");
    const kind = text(from, "kind");
    if (kind !== "member" && kind !== "service") throw new CorruptStateError(`a discovered endpoint is a "${kind}"`);
    return {
      kind,
      namespace: text(from, "namespace"),
      name: text(from, "name"),
      instance: text(from, "instance"),
      labels: new Map(list(from.labels, `"labels"`).map(decodeLabel)),
      addresses: list(from.addresses, `"addresses"`).map((address) => asText(address, "an address")),
    };
  });
}

function decodeLabel(value: unknown): readonly [string, string] {
  const [key, labelValue] = list(value, "a label");
  return [asText(key, "the key of a label"), asText(labelValue, "the value of a label")];
}

function asText(value: unknown, what: string): string {
  if (typeof value !== "string") throw new CorruptStateError(`${what} is not text`);
  return value;
}
