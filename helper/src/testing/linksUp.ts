/** Lines between network namespaces that carry the first packet too. */
import { execFileSync } from "node:child_process";

const LIMIT_MS = 30_000;
const LOOK_EVERY_MS = 2;

export interface LineEnd {
  /** Name of a network namespace as `ip netns` knows it. */
  readonly namespace: string;
  readonly device: string;
}

/**
 * Sets both ends up and waits until the kernel says that they carry packets. Give them their addresses afterwards: an
 * interface that is up when it gets one listens for those who look for it at once, one that comes up later after a random
 * part of a second, and the first connection over IPv6 would wait for a second question. What a line gets that is not yet
 * carrying is dropped as well.
 */
export function linksUp(...ends: readonly LineEnd[]): void {
  for (const { namespace, device } of ends) execFileSync("ip", ["-n", namespace, "link", "set", device, "up"]);
  const endMs = performance.now() + LIMIT_MS;
  while (!ends.every(carries)) {
    if (performance.now() > endMs) throw new Error(`${ends.map(({ device }) => device).join(" and ")} did not come up`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_EVERY_MS);
  }
}

function carries({ namespace, device }: LineEnd): boolean {
  const text = execFileSync("ip", ["-n", namespace, "-j", "link", "show", device], { encoding: "utf8" });
  const [link] = JSON.parse(text) as readonly [{ readonly operstate: string }];
  return link.operstate === "UP";
}
