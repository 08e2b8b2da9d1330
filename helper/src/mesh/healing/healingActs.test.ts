import { create } from "@bufbuild/protobuf";
import {
  HealingAction,
  HealingOutcome,
  MeshProvider,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { describe, expect, it } from "vitest";
import type { HealingOrder, MeshProviderAdapter } from "../ports.ts";
import { HealingActs } from "./healingActs.ts";

const provider = MeshProvider.YGGDRASIL;
const URI = "tcp://192.0.2.1:12345";
const ORDER: HealingOrder = {
  ...{ id: "run/1", runId: "run", action: HealingAction.REPEER, target: "link", provider, peerUri: URI },
  ...{ term: 1n, dryRun: false, expiresAtMs: 1e15, approvedBy: "the loop" },
};

/** A daemon whose first calls fail as listed, after they were carried out: an answer that came too late. */
function daemon(failures: Readonly<Record<"addPeer" | "removePeer", readonly ErrorCode[]>>) {
  const peers = new Set([URI]);
  const left = { addPeer: [...failures.addPeer], removePeer: [...failures.removePeer] };
  const carryOut = async (verb: "addPeer" | "removePeer", change: () => void) => {
    const code = left[verb].shift();
    if (verb === "removePeer" || code === undefined) change();
    if (code !== undefined) throw new Failure({ code, message: "It did not answer in time." });
  };
  const adapter: MeshProviderAdapter = {
    provider,
    read: async () => create(MeshProviderReportSchema, { provider, state: MeshProviderState.UP }),
    addPeer: ({ uri }) => carryOut("addPeer", () => peers.add(uri)),
    removePeer: ({ uri }) => carryOut("removePeer", () => peers.delete(uri)),
  };
  const acts = new HealingActs({ hostName: "alpha", adapters: [adapter], hasAdded: () => false });
  return { peers, act: () => acts.act(ORDER, AbortSignal.timeout(10_000)) };
}

describe("peering again", () => {
  const late = ErrorCode.DEADLINE_EXCEEDED;
  it.each([
    ["both succeed", { addPeer: [], removePeer: [] }, HealingOutcome.DONE],
    ["the removal breaks off", { addPeer: [], removePeer: [late] }, HealingOutcome.FAILED],
    ["the first try to put it back fails", { addPeer: [late], removePeer: [] }, HealingOutcome.DONE],
    ["both break off once", { addPeer: [late], removePeer: [late] }, HealingOutcome.FAILED],
    ["it was gone already", { addPeer: [], removePeer: [ErrorCode.NOT_FOUND] }, HealingOutcome.DONE],
  ])("leaves the daemon with its peer where %s", async (_name, failures, outcome) => {
    const { peers, act } = daemon(failures);
    expect((await act()).outcome).toBe(outcome);
    expect([...peers]).toEqual([URI]);
  });
});
