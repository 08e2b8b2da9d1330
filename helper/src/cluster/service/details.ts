/** What the audit log says about a call besides the digest of its request. Bounded, and never a secret. */
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { StoreConfiguration } from "@wardline/api/wardline/v1/cluster";
import { StoreKind } from "@wardline/api/wardline/v1/cluster";
import type { WriteName, WriteRequest } from "./writes.ts";

const MAX_PART_LENGTH = 300;

const cut = (text: string) => text.slice(0, MAX_PART_LENGTH);
const because = (reason: string) => (reason === "" ? "" : `, reason: ${cut(reason)}`);
const within = (duration: Parameters<typeof durationMs>[0] | undefined) =>
  duration === undefined ? "" : `, to be confirmed within ${durationMs(duration) / 1_000} s`;

export function describeStore(store: StoreConfiguration | undefined): string {
  if (store === undefined || store.kind === StoreKind.EMBEDDED) return "the embedded store";
  return cut(`etcd at ${store.endpoints.join(" ")}`);
}

type Describers = { readonly [Name in WriteName]: (request: WriteRequest<Name>) => string };

export const DETAILS: Describers = {
  writeDocuments({ writes, reason, confirmWithin, dryRun, replaceAll }) {
    const deleted = writes.filter(({ deleteKey }) => deleteKey !== "").length;
    const what = `${dryRun ? "dry run: " : ""}${writes.length - deleted} documents written, ${deleted} deleted`;
    return `${what}${replaceAll ? ", all others too" : ""}${within(confirmWithin)}${because(reason)}`;
  },
  rollbackDocuments({ key, toVersion, toSetNumber, reason, confirmWithin }) {
    const what = key === "" ? `everything to set ${toSetNumber}` : `${cut(key)} to version ${toVersion}`;
    return `${what}${within(confirmWithin)}${because(reason)}`;
  },
  confirmSet: ({ setNumber, rollBack, reason }) => `${rollBack ? "take back " : ""}set ${setNumber}${because(reason)}`,
  registerService({ instance }) {
    const { namespace = "", service = "", address = "", port = 0 } = instance ?? {};
    return cut(`${namespace}/${service} at ${address} port ${port}`);
  },
  deregisterService: ({ namespace, service, instance }) =>
    cut(`${namespace}/${service} ${instance || "(every instance)"}`),
  pushNotes: ({ document, update, replacesUpTo }) =>
    `${cut(document)}, ${update.length} bytes${replacesUpTo > 0n ? `, in the place of all up to ${replacesUpTo}` : ""}`,
  createJoinToken: ({ memberName, candidate }) =>
    `for ${cut(memberName) || "any host"}${candidate ? ", as a candidate" : ""}`,
  removeMember: ({ memberName, reason }) => `${cut(memberName)}${because(reason)}`,
  resignLeadership: ({ reason }) => `the leader steps down${because(reason)}`,
  issueCertificate: ({ name, dnsNames, ipAddresses }) =>
    cut(`for the server ${name}: ${[...dnsNames, ...ipAddresses].join(" ") || "no other names"}`),
  setStore: ({ store }) => `to ${describeStore(store)}`,
};
