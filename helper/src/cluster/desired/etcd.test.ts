import { create } from "@bufbuild/protobuf";
import { GetDocumentRequestSchema, ListDocumentsRequestSchema } from "@wardline/api/wardline/agent/v1/cluster";
import { DesiredHeadSchema, DocumentVersionSchema } from "@wardline/api/wardline/v1/cluster";
import { checkHistory, type ObservedRead, type ObservedWrite, type WriteOutcome } from "@wardline/domain/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  deletionOf,
  LAB_KEYS,
  LabNode,
  LeadOffice,
  policyKey,
  requestOf,
  SILENT,
  writeOf,
} from "../../testing/desiredLab.ts";
import { EtcdLab, etcdProblem } from "../../testing/etcdLab.ts";
import { EtcdStore } from "../store/etcdStore.ts";
import { decode } from "./records.ts";

const problem = etcdProblem();
const WRITERS = 5;
const CANDIDATES = 3;
const NAMES = ["web", "db", "api"];
const ROUNDS = 12;

describe.skipIf(problem !== null)(`the desired set on real etcd (${problem ?? "three members"})`, () => {
  let etcd: EtcdLab;
  let nodes: LabNode[];
  const office = new LeadOffice();

  beforeAll(async () => {
    etcd = await EtcdLab.start({ members: 3 });
    nodes = Array.from({ length: CANDIDATES }, (_, index) => {
      const store = EtcdStore.open({ endpoints: etcd.endpoints, log: SILENT });
      return new LabNode(office, `node-${index}`, store);
    });
    await nodes[0]!.lead.take();
  });
  afterAll(async () => {
    for (const node of nodes ?? []) {
      await node.close();
      await node.store.close();
    }
    await etcd?.close();
  });

  it("takes 2,000 documents at once within etcd's limits, seen whole by a watching node", async () => {
    const [leader, follower] = nodes as [LabNode, LabNode];
    const counts = new Set<number>();
    const unsubscribe = follower.replica.onChange(() => counts.add(follower.replica.state?.documents.size ?? -1));
    const filler = `# ${"x".repeat(2_000)}\n`;
    const writes = Array.from({ length: 2_000 }, (_, index) => writeOf(`p${index}`, 80, 0n, filler));
    const { head } = await leader.set.write(requestOf(writes), { actor: "alice" });
    expect(head).toMatchObject({ documentCount: 2_000, setNumber: 1n });
    const { documents } = await follower.set.list(create(ListDocumentsRequestSchema, { limit: 1_000 }));
    expect(documents).toHaveLength(1_000);
    await vi.waitFor(async () => expect((await leader.store.get(LAB_KEYS.overlay)).item).toBeNull(), {
      timeout: 60_000,
      interval: 100,
    });
    expect([...counts].filter((count) => count !== 0 && count !== 2_000)).toEqual([]);
    unsubscribe();
    const deletions = Array.from({ length: 2_000 }, (_, index) => deletionOf(`p${index}`, 1n));
    await leader.set.write(requestOf(deletions), { actor: "alice" });
  });

  it("loses, doubles and reorders nothing of five writers on three candidates, through changes of the leader and of etcd's", async () => {
    const writes: ObservedWrite[] = [];
    const reads: ObservedRead[] = [];
    const now = () => performance.now();
    let leading = nodes[0]!;
    let areDone = false;

    /** As a console does: read the newest, write from it, go to the leader. */
    async function writer(number: number): Promise<void> {
      for (let round = 0; round < ROUNDS; round++) {
        const name = NAMES[(number + round) % NAMES.length]!;
        const key = policyKey(name);
        // Not always the leader: also one that was it, or never.
        const node = (number + round) % 4 === 0 ? nodes[(number + round) % CANDIDATES]! : leading;
        const readAt = now();
        const read = await node.set
          .get(create(GetDocumentRequestSchema, { key }))
          .then(({ document }) => document?.version ?? 0n)
          .catch((error: unknown) => (isOf(error, ErrorCode.NOT_FOUND) ? 0n : null));
        if (read === null) continue;
        reads.push({ key, invokedMs: readAt, returnedMs: now(), version: read });
        const reason = `writer ${number} round ${round}`;
        const invokedMs = now();
        const outcome = await node.set
          .write(requestOf([writeOf(name, 1 + number * 100 + round, read)], { reason }), { actor: `w${number}` })
          .then(
            ({ written: [one] }): WriteOutcome => ({ kind: "ok", version: one!.version, setNumber: one!.setNumber }),
          )
          .catch(toOutcome);
        writes.push({
          writer: `w${number}`,
          key,
          invokedMs,
          returnedMs: now(),
          baseVersion: read,
          content: reason,
          outcome,
        });
      }
    }

    async function trouble(): Promise<void> {
      for (const next of [1, 2, 0]) {
        const acknowledged = () => writes.filter(({ outcome }) => outcome.kind === "ok").length;
        const wanted = acknowledged() + 3;
        // Each leader has written something before the next one takes its place; unless the writers are done before.
        while (acknowledged() < wanted && !areDone) await new Promise((resolve) => setTimeout(resolve, 20));
        // The one before does not know: it goes on until the store stops it.
        await nodes[next]!.lead.take(true);
        leading = nodes[next]!;
      }
      const etcdLeader = await etcd.leader();
      await etcd.kill(etcdLeader);
      await new Promise((resolve) => setTimeout(resolve, 300));
      etcd.start(etcdLeader);
    }

    const writing = Promise.all(Array.from({ length: WRITERS }, (_, number) => writer(number)));
    const ending = writing.finally(() => {
      areDone = true;
    });
    await Promise.all([ending, trouble()]);
    await etcd.waitHealthy();
    const range = await leading.store.range(LAB_KEYS.history);
    const stored = range.items
      .map((item) => decode(DocumentVersionSchema, item.key, item.value))
      .filter(({ key }) => NAMES.some((name) => key === policyKey(name)))
      .map(({ key, version, setNumber, term, reason }) => ({ key, version, setNumber, term, content: reason }));
    const sets = (await leading.store.range(LAB_KEYS.sets)).items.map((item) =>
      decode(DesiredHeadSchema, item.key, item.value),
    );
    const numbers = sets.map(({ setNumber, term }) => ({ number: setNumber, term }));
    expect(checkHistory(writes, stored, { reads, sets: numbers })).toEqual([]);
    const count = (kind: string) => writes.filter(({ outcome }) => outcome.kind === kind).length;
    expect(count("ok")).toBeGreaterThan(10);
    expect(count("failed")).toBeGreaterThan(3);
    expect(new Set(sets.map(({ term }) => term)).size).toBeGreaterThan(1);
  });
});

function isOf(error: unknown, code: ErrorCode): boolean {
  return error instanceof Failure && error.code === code;
}

function toOutcome(error: unknown): WriteOutcome {
  if (!(error instanceof Failure)) throw error;
  const isOpen = [ErrorCode.STORE_UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED].includes(error.code);
  return { kind: isOpen ? "unknown" : "failed" };
}
