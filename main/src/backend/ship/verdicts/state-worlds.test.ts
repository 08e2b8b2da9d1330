import { ErrorCode, Failure } from "@wardline/domain/errors";
import { readPolicyFiles } from "@wardline/domain/policy";
import { describe, expect, it } from "vitest";
import type { ManagedHost } from "../../hosts/managed-host.ts";
import { type StateWorldPorts, StateWorlds } from "./state-worlds.ts";
import { ThreadStates } from "./thread-states.ts";
import type { LoadRequest } from "./verdict-protocol.ts";

const SOUND = [
  {
    path: "web.yaml",
    text: "apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: web}\nspec: {addresses: [10.0.0.1]}\n",
  },
];
const BROKEN = [{ path: "web.yaml", text: "kind: 7\n" }];

describe("the states of a comparison", () => {
  it.each([
    ["that can be read", SOUND],
    ["that cannot", BROKEN],
  ])("stay known to the thread, however many others hosts enforce %s", async (_what, others) => {
    const states = new ThreadStates();
    const host = { id: "local", record: { alias: "local" } } as ManagedHost;
    const ports = {
      workspace: { snapshot: () => ({ reading: readPolicyFiles(SOUND), stateDigest: "draft", files: SOUND }) },
      versions: { find: () => ({}), files: () => others },
      registry: { local: host, hosts: [host] },
      clock: { nowMs: () => 0 },
    } as unknown as StateWorldPorts;
    const worlds = new StateWorlds(ports, { call: async (_, argument) => states.load(argument as LoadRequest) });
    await worlds.loadDraft();
    const refused: unknown[] = [];
    for (let index = 0; index < 40; index++) {
      await worlds.number(host, `state ${index}`, "plain").catch((why: unknown) => refused.push(why));
    }
    expect(refused.length).toBeGreaterThanOrEqual(31);
    for (const why of refused) expect(why).toBeInstanceOf(Failure);
    expect(refused.at(-1)).toMatchObject({ code: ErrorCode.TOO_LARGE });
    for (const reference of worlds.all)
      expect(() => states.world(reference, { nowMs: 0, quarantines: [] })).not.toThrow();
  });
});
