/** Real connections and what became of them. */
import { PEER_ADDRESS } from "@wardline/helper/testing/kernelLab";
import { expect } from "vitest";
import type { System } from "./harness.ts";

/** An answer may be late on a busy machine; when silence is expected, waiting longer proves little more. */
export const PASS_LIMIT_MS = 10_000;
export const REFUSED_LIMIT_MS = 600;

let serial = 0;

/** Opens a connection from the guarded host to the peer, exchanges one byte and closes it. "ok", or how it failed. */
export async function connectToPeer(system: System, port: number, limitMs: number): Promise<string> {
  serial += 1;
  const name = `connection-${serial}`;
  const outcome = await system.host.connectTcp(name, PEER_ADDRESS[4], port, limitMs);
  await system.host.disconnect(name);
  return outcome;
}

export async function expectPasses(system: System, port: number): Promise<void> {
  expect(await connectToPeer(system, port, PASS_LIMIT_MS), `TCP ${port} passes`).toBe("ok");
}

/** Refused by the kernel of the guarded host: the connect fails at once or its packets go nowhere, never "no listener". */
export async function expectRefused(system: System, port: number): Promise<void> {
  expect(await connectToPeer(system, port, REFUSED_LIMIT_MS), `TCP ${port} is refused`).toMatch(/^(EPERM|timeout)$/);
}
