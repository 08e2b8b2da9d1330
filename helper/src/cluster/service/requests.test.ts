import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import * as wire from "@wardline/api/wardline/agent/v1/cluster";
import { StoreConfigurationSchema, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import { readPeerAddress } from "./fields.ts";
import * as check from "./requests.ts";
import { readStore } from "./storeRequest.ts";

function outcome(run: () => unknown): string {
  try {
    run();
    return "ok";
  } catch (error) {
    return error instanceof Failure ? ErrorCode[error.code] : String(error);
  }
}

const INVALID = "INVALID_ARGUMENT";
const s = (seconds: number) => durationFromMs(seconds * 1_000);
const etcd = (endpoint: string, more = {}) => ({ kind: StoreKind.ETCD, endpoints: [endpoint], ...more });

type Case = readonly [string, object, string];
/** Each request once as it should be, then with one thing wrong at a time. */
const REQUESTS: readonly [DescMessage, (request: never) => unknown, object, readonly Case[]][] = [
  [
    wire.InitClusterRequestSchema,
    check.checkInit,
    { clusterName: "prod", peerAddress: "10.0.0.1:7443", labels: { "example.com/zone": "a" }, lease: s(5) },
    [
      ["no name", { clusterName: "" }, INVALID],
      ["capitals", { clusterName: "Prod" }, INVALID],
      ["64 letters", { clusterName: "a".repeat(64) }, INVALID],
      ["a trust domain with a slash", { trustDomain: "a/b" }, INVALID],
      ["no address", { peerAddress: "" }, INVALID],
      ["a lease of 1 s", { lease: s(1) }, INVALID],
      ["a lease of 61 s", { lease: s(61) }, INVALID],
      ["a label of two slashes", { labels: { "a/b/c": "d" } }, INVALID],
      ["a label's value with blanks", { labels: { a: "b c" } }, INVALID],
      ["65 labels", { labels: Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`k${at}`, ""])) }, "TOO_LARGE"],
      ["a store of no kind", { store: {} }, INVALID],
    ],
  ],
  [
    wire.CreateJoinTokenRequestSchema,
    check.checkCreateJoinToken,
    { memberName: "web-1", expiresIn: s(600) },
    [
      ["a path for a name", { memberName: "../x" }, INVALID],
      ["59 s", { expiresIn: s(59) }, INVALID],
      ["25 h", { expiresIn: s(90_000) }, INVALID],
    ],
  ],
  [
    wire.JoinClusterRequestSchema,
    check.checkJoin,
    { token: "wl1.x", peerAddress: "[fd00::1]:7443" },
    [
      ["no token", { token: "" }, INVALID],
      ["an endless token", { token: "x".repeat(8_193) }, INVALID],
      ["a name for an address", { peerAddress: "web-1:7443" }, INVALID],
    ],
  ],
  [wire.LeaveClusterRequestSchema, check.checkLeave, {}, [["a novel", { reason: "x".repeat(1_001) }, INVALID]]],
  [
    wire.RemoveMemberRequestSchema,
    check.checkRemoveMember,
    { memberName: "web-1" },
    [
      ["nobody", { memberName: "" }, INVALID],
      ["a novel", { reason: "x".repeat(1_001) }, INVALID],
    ],
  ],
  [
    wire.IssueCertificateRequestSchema,
    check.checkIssueCertificate,
    {
      name: "etcd-1",
      publicKey: new Uint8Array(91),
      ipAddresses: ["fd00::1"],
      dnsNames: ["etcd.example"],
      validFor: s(3600),
    },
    [
      ["no name", { name: "" }, INVALID],
      ["no key", { publicKey: new Uint8Array() }, INVALID],
      ["an endless key", { publicKey: new Uint8Array(2_049) }, INVALID],
      ["17 names", { dnsNames: Array.from({ length: 17 }, (_, at) => `a${at}`) }, "TOO_LARGE"],
      ["a wildcard", { dnsNames: ["*.example"] }, INVALID],
      ["a prefix for an address", { ipAddresses: ["10.0.0.0/8"] }, INVALID],
      ["59 min", { validFor: s(3540) }, INVALID],
      ["91 days", { validFor: s(91 * 86_400) }, INVALID],
    ],
  ],
  [
    wire.ListDocumentsRequestSchema,
    check.checkListDocuments,
    { keyPrefix: "policy/default/", limit: 1_000 },
    [
      ["1,001", { limit: 1_001 }, INVALID],
      ["a key with a line break", { keyPrefix: "policy\n" }, INVALID],
      ["an endless key", { afterKey: "x".repeat(601) }, INVALID],
    ],
  ],
  [
    wire.GetDocumentRequestSchema,
    check.checkGetDocument,
    { key: "policy/default/web" },
    [
      ["no key", { key: "" }, INVALID],
      ["a version beyond", { version: 2n ** 63n }, INVALID],
    ],
  ],
  [
    wire.ListDocumentHistoryRequestSchema,
    check.checkListHistory,
    { key: "policy/default/web", limit: 100 },
    [
      ["no key", { key: "" }, INVALID],
      ["101", { limit: 101 }, INVALID],
    ],
  ],
  [
    wire.WatchDocumentsRequestSchema,
    check.checkWatchDocuments,
    {},
    [["a set beyond", { afterSetNumber: 2n ** 63n }, INVALID]],
  ],
  [wire.ListSetsRequestSchema, check.checkListSets, {}, [["101", { limit: 101 }, INVALID]]],
  [
    wire.WriteDocumentsRequestSchema,
    check.checkWriteDocuments,
    {
      writes: [{ text: "kind: Policy" }, { deleteKey: "policy/default/a" }],
      mode: 2,
      confirmWithin: s(10),
      requestId: "a-1",
    },
    [
      ["nothing", { writes: [] }, INVALID],
      ["2,001 documents", { writes: Array.from({ length: 2_001 }, () => ({ text: "x" })) }, "TOO_LARGE"],
      ["more than 8 MiB", { writes: [{ text: "x".repeat(8 * 1024 * 1024 + 1) }] }, "TOO_LARGE"],
      ["text and deletion at once", { writes: [{ text: "x", deleteKey: "y" }] }, INVALID],
      ["neither", { writes: [{}] }, INVALID],
      ["no mode", { mode: 0 }, INVALID],
      ["a mode that is none", { mode: 9 }, INVALID],
      ["9 s to confirm", { confirmWithin: s(9) }, INVALID],
      ["more than an hour", { confirmWithin: s(3_601) }, INVALID],
      ["an id with a blank", { requestId: "a b" }, INVALID],
      ["a novel", { reason: "x".repeat(1_001) }, INVALID],
    ],
  ],
  [
    wire.RollbackDocumentsRequestSchema,
    check.checkRollbackDocuments,
    { key: "policy/default/web", toVersion: 2n },
    [
      ["both", { toSetNumber: 3n }, INVALID],
      ["neither", { key: "", toVersion: 0n }, INVALID],
      ["a key without a version", { toVersion: 0n }, INVALID],
    ],
  ],
  [
    wire.ConfirmSetRequestSchema,
    check.checkConfirmSet,
    { setNumber: 1n, digest: "0f".repeat(32) },
    [
      ["no number", { setNumber: 0n }, INVALID],
      ["no digest", { digest: "" }, INVALID],
    ],
  ],
  [
    wire.RegisterServiceRequestSchema,
    check.checkRegisterService,
    { instance: { namespace: "shop", service: "db", address: "fd00::1", port: 5432, timeToLive: s(30) } },
    [
      ["nothing", { instance: undefined }, INVALID],
      ["no namespace", { instance: { service: "db", address: "fd00::1", port: 1 } }, INVALID],
      ["no port", { instance: { namespace: "shop", service: "db", address: "fd00::1" } }, INVALID],
      ["text for an address", { instance: { namespace: "shop", service: "db", address: "x", port: 1 } }, INVALID],
      [
        "a path for an instance",
        { instance: { namespace: "shop", service: "db", address: "::1", port: 1, instance: "../a" } },
        INVALID,
      ],
    ],
  ],
  [
    wire.DeregisterServiceRequestSchema,
    check.checkDeregisterService,
    { namespace: "shop", service: "db", instance: "fd00::1" },
    [
      ["every service", { service: "" }, INVALID],
      ["a path", { instance: "a/b" }, INVALID],
    ],
  ],
  [wire.ListServicesRequestSchema, check.checkListServices, {}, [["a path", { namespace: "a/b" }, INVALID]]],
  [
    wire.ResolveRequestSchema,
    check.readQuery,
    { query: { service: "shop/db" } },
    [
      ["nothing", { query: undefined }, INVALID],
      ["an empty question", { query: {} }, INVALID],
      ["two at once", { query: { service: "db", host: "a" } }, INVALID],
      ["three parts", { query: { service: "a/b/c" } }, INVALID],
      ["a wildcard", { query: { domainName: "*.example" } }, INVALID],
    ],
  ],
  [
    wire.WatchNotesRequestSchema,
    check.checkNotesName,
    { document: "hosts" },
    [["a path", { document: "a/b" }, INVALID]],
  ],
  [
    wire.PushNotesRequestSchema,
    check.checkPushNotes,
    { document: "hosts", update: new Uint8Array(64 * 1024) },
    [
      ["no document", { document: "" }, INVALID],
      ["33 letters", { document: "a".repeat(33) }, INVALID],
      ["nothing", { update: new Uint8Array() }, INVALID],
      ["more than 64 KiB", { update: new Uint8Array(64 * 1024 + 1) }, "TOO_LARGE"],
      ["more than 512 KiB merged", { update: new Uint8Array(512 * 1024 + 1), replacesUpTo: 9n }, "TOO_LARGE"],
      ["a number beyond", { replacesUpTo: 2n ** 63n }, INVALID],
    ],
  ],
];

describe.each(REQUESTS.map((entry) => [entry[0].name, ...entry] as const))(
  "%s",
  (_name, schema, checkIt, right, cases) => {
    const outcomeOf = (init: object) =>
      outcome(() => checkIt(create(schema, init as MessageInitShape<typeof schema>) as never));

    it("is taken as it should be", () => expect(outcomeOf(right)).toBe("ok"));

    it.each(cases)("is refused with %s", (_what, spoiled, expected) => {
      expect(outcomeOf({ ...right, ...spoiled })).toBe(expected);
    });
  },
);

describe("readPeerAddress", () => {
  it("gives the canonical form", () => {
    expect(readPeerAddress("10.0.0.1:7443")).toBe("10.0.0.1:7443");
    expect(readPeerAddress("[FD00:0:0::1]:7443")).toBe("[fd00::1]:7443");
  });

  it.each([
    "",
    "10.0.0.1",
    "10.0.0.1:0",
    "10.0.0.1:65536",
    "fd00::1:7443",
    "[10.0.0.1]:7443",
    "0.0.0.0:1",
    "[::]:1",
    "a:1",
  ])("refuses %s", (text) => expect(outcome(() => readPeerAddress(text))).toBe(INVALID));
});

describe("readStore", () => {
  const read = (init: MessageInitShape<typeof StoreConfigurationSchema>) =>
    readStore(create(StoreConfigurationSchema, init));

  it("takes endpoints once each, and http for loopback alone", () => {
    expect(read(etcd("https://10.0.0.1:2379/")).endpoints).toEqual(["https://10.0.0.1:2379"]);
    expect(read({ ...etcd(""), endpoints: ["http://127.0.0.1:1", "http://127.0.0.1:1/"] }).endpoints).toHaveLength(1);
    expect(outcome(() => read(etcd("http://[::1]:2379")))).toBe("ok");
  });

  it.each([
    ["no kind", {}],
    ["endpoints of the embedded one", { kind: StoreKind.EMBEDDED, endpoints: ["https://a:1"] }],
    ["no endpoint", { kind: StoreKind.ETCD }],
    ["17 endpoints", { kind: StoreKind.ETCD, endpoints: Array.from({ length: 17 }, (_, at) => `https://a${at}:1`) }],
    ["no port", etcd("https://10.0.0.1")],
    ["a path", etcd("https://10.0.0.1:1/x")],
    ["credentials in the address", etcd("https://u:p@10.0.0.1:1")],
    ["another protocol", etcd("file:///etc/passwd")],
    ["http over the network", etcd("http://10.0.0.1:1")],
    ["a user without a password", etcd("https://10.0.0.1:1", { userName: "u" })],
    ["users per member in clear", etcd("http://127.0.0.1:1", { usersPerMember: true })],
    [
      "one user and users per member",
      etcd("https://10.0.0.1:1", { usersPerMember: true, userName: "u", password: "p" }),
    ],
    ["something else for PEM", etcd("https://10.0.0.1:1", { serverCaPem: "-----BEGIN PRIVATE KEY-----" })],
  ])("refuses %s", (_what, init) => expect(outcome(() => read(init))).toBe(INVALID));
});
