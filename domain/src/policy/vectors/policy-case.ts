/** A case about policies: an inventory, documents, and probes from one workload to another. */
import { canonicalAddress } from "../address.ts";
import { effectiveAddresses } from "../endpoints.ts";
import type { Endpoint, Inventory, PolicyWorld } from "../model.ts";
import { readPolicyFiles } from "../read.ts";
import { readCaseHead } from "./case-head.ts";
import { readInventory, TRANSPORT_NAMES, TRANSPORTS } from "./inventory.ts";
import { asInteger, asList, asObject, asOneOf, asText, type Located, wrong } from "./json.ts";
import { type EndQuestion, VECTOR_LIMITS, type VectorCase, type VectorProbe, type VectorReading } from "./vector.ts";

export function readPolicyCase(at: Located): VectorCase {
  const { fields, name, source } = readCaseHead(at, ["inventory", "policies", "probes"], []);
  const inventory = readInventory(fields.inventory);
  const world: PolicyWorld = { policies: readPolicies(fields.policies, name), inventory };
  const probes = asList(fields.probes, { max: VECTOR_LIMITS.probes });
  const endOf = createEndReader(inventory);
  return { file: at.file, name, source, world, probes: probes.map((probe, index) => readProbe(probe, index, endOf)) };
}

/** An empty text is a case without policies. Errors of the documents are told with their line. */
function readPolicies(at: Located, name: string): PolicyWorld["policies"] {
  const text = asText(at, VECTOR_LIMITS.policiesLength);
  if (text.trim() === "") return [];
  const { world, diagnostics } = readPolicyFiles([{ path: `${name}.yaml`, text }]);
  const error = diagnostics.find(({ severity }) => severity === "error");
  if (error) throw wrong(at, `cannot be used: ${error.code} in line ${error.source.line}: ${error.message}`);
  if (world.inventory.endpoints.length > 0) throw wrong(at, "must hold policies only; hosts belong into the inventory");
  return world.policies;
}

/** One end of a probe as the file names it. */
interface ProbeEnd {
  readonly text: string;
  /** `null` for an address that nobody in the inventory has. */
  readonly endpoint: Endpoint | null;
  readonly addresses: readonly string[];
}

function createEndReader(inventory: Inventory): (at: Located) => ProbeEnd {
  const byName = new Map<string, Endpoint>();
  const byAddress = new Map<string, Endpoint>();
  for (const endpoint of inventory.endpoints) {
    if (endpoint.kind === "workload") byName.set(`${endpoint.namespace}/${endpoint.name}`, endpoint);
    for (const address of endpoint.addresses) byAddress.set(address, endpoint);
  }
  return (at) => {
    const text = asText(at, VECTOR_LIMITS.nameLength);
    const address = canonicalAddress(text);
    if (address !== null) return { text, endpoint: byAddress.get(address) ?? null, addresses: [address] };
    const endpoint = byName.get(text);
    if (endpoint === undefined) throw wrong(at, `is neither a workload of the inventory nor an address: "${text}"`);
    return { text, endpoint, addresses: effectiveAddresses(inventory, endpoint) };
  };
}

function readProbe(at: Located, index: number, endOf: (at: Located) => ProbeEnd): VectorProbe {
  const fields = asObject(at, ["from", "to", "protocol", "port", "expect"], []);
  const from = endOf(fields.from);
  const to = endOf(fields.to);
  const protocol = asOneOf(fields.protocol, TRANSPORT_NAMES);
  const port = asInteger(fields.port, 0, 0xffff);
  if (from.endpoint !== null && from.endpoint === to.endpoint) {
    throw wrong(at, "goes from a workload to itself, which is undefined between implementations");
  }
  const readings = readingsOf(from, to, TRANSPORTS[protocol], port);
  if (readings.length === 0) throw wrong(at, "has two ends without a common address family");
  const expect = asOneOf(fields.expect, ["allow", "deny"]);
  return { index, from: from.text, to: to.text, protocol, port, icmp: null, expect, readings };
}

/** Every pair of addresses of one family: all of them get the same verdict. */
function readingsOf(from: ProbeEnd, to: ProbeEnd, protocol: number, port: number): readonly VectorReading[] {
  const service = { protocol, port, packetPort: port };
  const isIpv6 = (address: string): boolean => address.includes(":");
  return from.addresses.flatMap((source) =>
    to.addresses
      .filter((destination) => isIpv6(destination) === isIpv6(source))
      .map((destination) => ({
        label: isIpv6(source) ? "IPv6" : "IPv4",
        source,
        destination,
        questions: [
          ...ask(from.endpoint, { direction: "egress", local: source, remote: destination, ...service }),
          ...ask(to.endpoint, { direction: "ingress", local: destination, remote: source, ...service }),
        ],
      })),
  );
}

/** Addresses that belong to nobody have no policies to be asked. */
function ask(endpoint: Endpoint | null, packet: Omit<EndQuestion, "subjectKey" | "hostName">): readonly EndQuestion[] {
  if (endpoint === null || endpoint.hostName === null) return [];
  return [{ subjectKey: endpoint.key, hostName: endpoint.hostName, ...packet }];
}
