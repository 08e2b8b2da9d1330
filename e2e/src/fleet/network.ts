/** The fleet's network: a bridge in a namespace of its own, a line to each host, and one to this machine for consoles. */
import { consoleAddress, hostAddress, networkPrefix } from "./addresses.ts";
import { consoleInterface, hostNamespace, hostPort, networkNamespace } from "./names.ts";
import { mustRun } from "./run-program.ts";

/** Runs lines of `ip` in one process. @param namespace where, or `null` for this machine */
function ipBatch(namespace: string | null, lines: readonly string[]): Promise<string> {
  const where = namespace === null ? [] : ["-n", namespace];
  return mustRun("ip", [...where, "-batch", "-"], { input: `${lines.join("\n")}\n` });
}

/** No route leads out of it: neither hosts nor bridge forward anything to this machine's networks. */
export async function makeNetwork(slot: number, hostCount: number): Promise<void> {
  const network = networkNamespace(slot);
  const indexes = Array.from({ length: hostCount }, (_, index) => index);
  const line = consoleInterface(slot);
  await ipBatch(null, [
    `netns add ${network}`,
    ...indexes.map((index) => `netns add ${hostNamespace(slot, index)}`),
    `link add ${line} type veth peer name console netns ${network}`,
  ]);
  await ipBatch(network, [
    "link add bridge0 type bridge stp_state 0 mcast_snooping 0",
    "link set bridge0 up",
    ...indexes.map(
      (index) => `link add ${hostPort(index)} type veth peer name eth0 netns ${hostNamespace(slot, index)}`,
    ),
    ...["console", ...indexes.map(hostPort)].map((port) => `link set ${port} master bridge0 up`),
  ]);
  // Addresses come when the lines carry: what gets one earlier answers only after a while to who looks for it over IPv6.
  await ipBatch(null, [
    `link set ${line} up`,
    `addr add ${consoleAddress(slot)[4]}/24 dev ${line}`,
    `addr add ${consoleAddress(slot)[6]}/64 dev ${line} nodad`,
  ]);
  await Promise.all(
    indexes.map((index) =>
      ipBatch(hostNamespace(slot, index), [
        "link set lo up",
        "link set eth0 up",
        `addr add ${hostAddress(slot, index)[4]}/24 dev eth0`,
        `addr add ${hostAddress(slot, index)[6]}/64 dev eth0 nodad`,
      ]),
    ),
  );
}

/** Gives the bridge an address that all hosts reach directly, and its way back to them. */
export async function joinOutside(slot: number, hostCount: number, address: string): Promise<void> {
  await ipBatch(networkNamespace(slot), [
    "link set lo up",
    `addr add ${address}/32 dev bridge0`,
    `route add ${networkPrefix(slot)[4]} dev bridge0`,
  ]);
  const indexes = Array.from({ length: hostCount }, (_, index) => index);
  await Promise.all(indexes.map((index) => ipBatch(hostNamespace(slot, index), [`route add ${address}/32 dev eth0`])));
}

/** Pulls or plugs the cable of one host. */
export async function setLine(slot: number, index: number, state: "up" | "down"): Promise<void> {
  await mustRun("ip", ["-n", networkNamespace(slot), "link", "set", hostPort(index), state]);
}
