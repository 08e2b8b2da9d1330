/** From what a person types to the two ends of a flow. */
import { ErrorCode, Failure } from "../errors/index.ts";
import { canonicalAddress, parseAddress } from "./address.ts";
import { effectiveAddresses } from "./endpoints.ts";
import type { FlowEnd } from "./evaluation.ts";
import type { Endpoint, Inventory, PolicyWorld } from "./model.ts";

export interface FlowEndsOptions {
  /** The address family wanted where both ends have both; default 4. */
  readonly family?: 4 | 6;
}

interface Candidates {
  readonly text: string;
  readonly endpointKey: string | null;
  /** Canonical. */
  readonly addresses: readonly string[];
}

const SHOWN_CANDIDATES = 5;

/**
 * Each end is an endpoint key (`Workload/prod/db`), `namespace/name`, a name that only one endpoint has, or an address.
 * Addresses are taken from one family.
 *
 * Throws `NOT_FOUND` for a name that no endpoint has, `INVALID_ARGUMENT` for one that several have, for an endpoint
 * without an address and for ends without a common family.
 */
export function resolveFlowEnds(
  world: PolicyWorld,
  fromText: string,
  toText: string,
  options: FlowEndsOptions = {},
): { readonly from: FlowEnd; readonly to: FlowEnd } {
  const from = candidatesFor(world.inventory, fromText.trim());
  const to = candidatesFor(world.inventory, toText.trim());
  const wanted = options.family ?? 4;
  for (const family of wanted === 4 ? ([4, 6] as const) : ([6, 4] as const)) {
    const fromAddress = ofFamily(from, family);
    const toAddress = ofFamily(to, family);
    if (fromAddress === undefined || toAddress === undefined) continue;
    return {
      from: { endpointKey: from.endpointKey, address: fromAddress },
      to: { endpointKey: to.endpointKey, address: toAddress },
    };
  }
  throw invalid(
    `${from.text} (${from.addresses.join(", ")}) and ${to.text} (${to.addresses.join(", ")}) have no address family in common.`,
    "Give an address of the same family for both ends.",
  );
}

function ofFamily({ addresses }: Candidates, family: 4 | 6): string | undefined {
  return addresses.find((address) => address.includes(":") === (family === 6));
}

function candidatesFor(inventory: Inventory, text: string): Candidates {
  const address = canonicalAddress(text);
  if (address !== null) return { text, endpointKey: ownerOf(inventory, address), addresses: [address] };
  const endpoint = endpointNamed(inventory, text);
  const addresses = effectiveAddresses(inventory, endpoint).flatMap((own) => canonicalAddress(own) ?? []);
  if (addresses.length > 0) return { text, endpointKey: endpoint.key, addresses };
  throw invalid(`${endpoint.key} has no address.`, "Add its addresses to its document, or give an address instead.");
}

/** Workloads that share their host's network are not asked for: the address is the host's. */
function ownerOf(inventory: Inventory, address: string): string | null {
  const owners = inventory.endpoints.filter(({ addresses }) =>
    addresses.some((own) => canonicalAddress(own) === address),
  );
  if (owners.length > 1) throw ambiguous(address, owners);
  return owners[0]?.key ?? null;
}

function endpointNamed(inventory: Inventory, text: string): Endpoint {
  const byKey = inventory.endpoints.find(({ key }) => key === text);
  if (byKey) return byKey;
  const found = inventory.endpoints.filter(({ namespace, name }) => name === text || `${namespace}/${name}` === text);
  const [only] = found;
  if (only && found.length === 1) return only;
  if (found.length > 1) throw ambiguous(text, found);
  const problem = parseAddress(text);
  const looksLikeAddress = /^[\d.]+$|:/.test(text) && !problem.ok;
  throw new Failure({
    code: ErrorCode.NOT_FOUND,
    message: looksLikeAddress ? `"${text}" ${problem.message}.` : `No host or workload is called "${text}".`,
    hint: "Give a name, namespace/name, an endpoint key such as Workload/default/db, or an address.",
  });
}

function ambiguous(text: string, endpoints: readonly Endpoint[]): Failure {
  const keys = endpoints.map(({ key }) => key);
  const more = keys.length > SHOWN_CANDIDATES ? ` and ${keys.length - SHOWN_CANDIDATES} more` : "";
  return invalid(`"${text}" can be ${keys.slice(0, SHOWN_CANDIDATES).join(", ")}${more}.`, "Give one of these keys.");
}

function invalid(message: string, hint: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint });
}
