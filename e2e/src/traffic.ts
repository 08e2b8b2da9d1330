/** Real connections and what became of them. */
import { PEER_ADDRESS } from "@wardline/helper/testing/kernelLab";
import { expect } from "vitest";
import type { System } from "./harness.ts";

let serial = 0;

/** Opens a connection from the guarded host to the peer, exchanges one byte and closes it. "ok", or how it failed. */
export async function connectToPeer(system: System, port: number, address: string = PEER_ADDRESS[4]): Promise<string> {
  serial += 1;
  const name = `connection-${serial}`;
  const outcome = await system.host.connectTcp(name, address, port);
  await system.host.disconnect(name);
  return outcome;
}

export async function expectPasses(system: System, port: number): Promise<void> {
  expect(await connectToPeer(system, port), `TCP ${port} passes`).toBe("ok");
}

/** Refused by the kernel of the guarded host: the connect fails at once or its packets go nowhere, never "no listener". */
export async function expectRefused(system: System, port: number): Promise<void> {
  expect(await connectToPeer(system, port), `TCP ${port} is refused`).toMatch(/^(EPERM|timeout)$/);
}
