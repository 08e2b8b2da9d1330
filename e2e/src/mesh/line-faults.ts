/**
 * What goes wrong on lines between hosts of a fleet: on the bridge between them, where neither host has a say. One table holds
 * all faults of a fleet and is replaced as a whole.
 */

import type { DualAddress } from "../fleet/addresses.ts";
import { networkNamespace } from "../fleet/names.ts";
import { mustRun } from "../fleet/run-program.ts";
import { MESH_PORT } from "./yggdrasil-member.ts";

export interface LineEnd {
  readonly address: DualAddress;
}

export interface LineFault {
  readonly from: LineEnd;
  readonly to: LineEnd;
  /** Also the other way; `true` unless given. */
  readonly bothWays?: boolean;
  /** Of packets; 100 unless given. */
  readonly lossPercent?: number;
  /** Only the mesh's own connections, `true`, or everything that is IP; `false` unless given. */
  readonly meshOnly?: boolean;
}

const TABLE = "wardline-faults";

/** Replaces what was there; none = all is well. @param slot of the fleet */
export async function setLineFaults(slot: number, faults: readonly LineFault[]): Promise<void> {
  const rules = faults.flatMap((fault) => {
    const ways = [
      [fault.from, fault.to] as const,
      ...(fault.bothWays === false ? [] : [[fault.to, fault.from] as const]),
    ];
    return ways.flatMap(([from, to]) => rulesOf(from, to, fault));
  });
  const text = `table bridge ${TABLE}
delete table bridge ${TABLE}
table bridge ${TABLE} {
  chain forward {
    type filter hook forward priority 0
${rules.map((rule) => `    ${rule}`).join("\n")}
  }
}
`;
  const namespace = `/run/netns/${networkNamespace(slot)}`;
  await mustRun("nsenter", [`--net=${namespace}`, "nft", "-f", "-"], { input: text });
}

function rulesOf(from: LineEnd, to: LineEnd, { lossPercent = 100, meshOnly = false }: LineFault): readonly string[] {
  const loss = lossPercent >= 100 ? "" : `numgen random mod 100 < ${lossPercent} `;
  const families = [
    ["ip", from.address[4], to.address[4]],
    ["ip6", from.address[6], to.address[6]],
  ] as const;
  return families.flatMap(([family, source, destination]) => {
    const ends = `${family} saddr ${source} ${family} daddr ${destination}`;
    const ports = meshOnly ? [`tcp sport ${MESH_PORT} `, `tcp dport ${MESH_PORT} `] : [""];
    return ports.map((port) => `${ends} ${port}${loss}drop`);
  });
}
