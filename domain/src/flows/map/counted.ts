/** Talks of a window, each counted once however many hosts saw it, with the endpoints at both ends. */
import { type End, EndFinder, type MapInventory } from "./ends.ts";
import type { FlowSums, MapSums } from "./model.ts";
import { countedOnce } from "./views.ts";

export interface CountedTalk {
  /** Key of the endpoint; `null` = nobody in the inventory has the address. */
  readonly sourceKey: string | null;
  readonly sourceAddress: string;
  readonly destinationKey: string | null;
  readonly destinationAddress: string;
  readonly protocol: number;
  readonly port: number;
  readonly allowed: FlowSums;
  readonly denied: FlowSums;
  readonly policyKeys: readonly string[];
}

export function countTalks(sums: readonly MapSums[], inventory: MapInventory): readonly CountedTalk[] {
  const finder = new EndFinder(inventory, { by: "workload" });
  const known = new Set(inventory.inventory.endpoints.map(({ key }) => key));
  const keyOf = ({ kind, member }: End): string | null => {
    const key = kind === "host" ? `Host/${member}` : member;
    return kind !== "external" && known.has(key) ? key : null;
  };
  return countedOnce(sums, finder).map(({ source, destination, ...talk }) => ({
    ...{ sourceKey: keyOf(source), destinationKey: keyOf(destination) },
    ...{ sourceAddress: talk.sourceAddress, destinationAddress: talk.destinationAddress },
    ...{ protocol: talk.protocol, port: talk.port },
    ...{ allowed: talk.allowed, denied: talk.denied, policyKeys: talk.policyKeys },
  }));
}
