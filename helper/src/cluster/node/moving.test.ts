import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type ClusterRecord, ClusterRecordSchema } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/domain/errors";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ClusterStore } from "../store/clusterStore.ts";
import { EmbeddedStore } from "../store/embeddedStore.ts";
import { encode, readClusterRecord } from "./clusterRecord.ts";
import { copyEverything, inspectTarget, isSameStore } from "./moving.ts";
import { KEYS } from "./nodePorts.ts";

const RECORD = create(ClusterRecordSchema, { clusterName: "prod", clusterId: "1", trustDomain: "prod.wardline" });

let directory: string;
let source: EmbeddedStore;
let target: EmbeddedStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wardline-moving-"));
  const open = (name: string) => EmbeddedStore.open({ path: join(directory, name), log: pino({ level: "silent" }) });
  source = open("source");
  target = open("target");
});
afterEach(async () => {
  await source.close();
  await target.close();
  rmSync(directory, { recursive: true });
});

const put = (store: ClusterStore, key: string, value: string | Uint8Array, leaseId?: bigint) =>
  store.transact({
    compare: [],
    then: [{ kind: "put", key, value: Buffer.from(value), ...(leaseId ? { leaseId } : {}) }],
  });
const contentOf = async (store: ClusterStore) =>
  (await store.range(KEYS.root)).items.map(({ key, value }) => [key, Buffer.from(value).toString("latin1")]);
const isOwn = ({ clusterId }: ClusterRecord) => clusterId === "1";
const inspect = () => inspectTarget(target, isOwn);
const writeRecord = (store: ClusterStore, record: Partial<ClusterRecord>) =>
  put(store, KEYS.cluster, encode(ClusterRecordSchema, create(ClusterRecordSchema, { ...RECORD, ...record })));

async function fillSource(count: number): Promise<void> {
  await writeRecord(source, {});
  for (let at = 0; at < count; at += 1) await put(source, KEYS.document(`policy/default/p${at}`), `text ${at}\0\xff`);
  const { id } = await source.grantLease(60_000);
  await put(source, KEYS.presence("a"), "here", id);
  await put(source, KEYS.leader, "a", id);
}

describe("from one store into another", () => {
  it("takes everything that lasts, byte for byte, and leaves out who is there at the moment", async () => {
    await fillSource(230);
    const before = await contentOf(source);
    expect(await copyEverything(source, target, null, RECORD)).toBe(230);
    const lasting = before.filter(([key = ""]) => key !== KEYS.leader && key !== KEYS.presence("a"));
    expect((await contentOf(target)).filter(([key]) => key !== KEYS.cluster)).toEqual(
      lasting.filter(([key]) => key !== KEYS.cluster),
    );
    expect((await readClusterRecord(target))?.record).toMatchObject({ clusterName: "prod", incomplete: true });
    expect(await contentOf(source)).toEqual(before);
  });

  it("begins anew over what a crash left, and leaves nothing of it", async () => {
    await fillSource(3);
    await writeRecord(target, { incomplete: true });
    await put(target, KEYS.document("policy/default/old"), "of an earlier attempt");
    const state = await inspect();
    if (state.kind !== "free") throw new Error(state.kind);
    await copyEverything(source, target, state.leftover, RECORD);
    const keys = (await contentOf(target)).map(([key]) => key);
    expect(keys).toContain(KEYS.document("policy/default/p2"));
    expect(keys).not.toContain(KEYS.document("policy/default/old"));
  });

  it("stops when somebody else begins to use the target in the middle", async () => {
    await fillSource(250);
    const hasty: ClusterStore = Object.create(target, {
      transact: {
        value: async (...transaction: Parameters<ClusterStore["transact"]>) => {
          const result = await target.transact(...transaction);
          if (transaction[0].then.length > 1) await writeRecord(target, { clusterName: "theirs" });
          return result;
        },
      },
    });
    const copying = copyEverything(source, hasty, null, RECORD);
    await expect(copying).rejects.toMatchObject({ code: ErrorCode.STORE_UNAVAILABLE });
    expect((await readClusterRecord(target))?.record.clusterName).toBe("theirs");
  });

  it.each<[string, () => Promise<unknown>, object]>([
    ["nothing", async () => {}, { kind: "free", leftover: null }],
    ["this cluster", () => writeRecord(target, {}), { kind: "this-cluster" }],
    ["an attempt of this cluster", () => writeRecord(target, { incomplete: true }), { kind: "free" }],
    ["another cluster", () => writeRecord(target, { clusterId: "2" }), { kind: "taken" }],
    ["an attempt of another one", () => writeRecord(target, { clusterId: "2", incomplete: true }), { kind: "taken" }],
    ["things without a record", () => put(target, KEYS.head, "x"), { kind: "taken" }],
  ])("sees in a target: %s", async (_what, prepare, expected) => {
    await prepare();
    expect(await inspect()).toMatchObject(expected);
  });

  it("does not take a record that is none for one", async () => {
    await put(target, KEYS.cluster, "garbage");
    await expect(inspect()).rejects.toMatchObject({ code: ErrorCode.INTERNAL });
  });

  it("tells two ways to one store from two stores that look alike", async () => {
    const term = { number: 1n, fence: [], signal: new AbortController().signal };
    expect(await isSameStore(source, source, term)).toBe(true);
    expect(await isSameStore(source, target, term)).toBe(false);
    expect(await contentOf(source)).toEqual([]);
  });
});
