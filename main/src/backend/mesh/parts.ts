/** In how many parts each mesh is, by the picture and by what the daemons of our hosts say of their trees. */
import type { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { type GraphPartition, hostNodeId, joinedPartCounts, treeRoot } from "@wardline/domain/mesh";
import type { HostMesh } from "./host-meshes.ts";

/** Only the word of hosts counts that are followed now. */
export function partsOf(
  partitions: readonly GraphPartition[],
  hosts: readonly HostMesh[],
): ReadonlyMap<MeshProvider, number> {
  const followed = new Map(
    hosts.flatMap(({ observation, isFollowed }) =>
      observation && isFollowed ? [[hostNodeId(observation.host), observation] as const] : [],
    ),
  );
  return joinedPartCounts(partitions, (provider, nodeId) => {
    const report = followed.get(nodeId)?.providers.find((each) => each.provider === provider);
    return report && treeRoot(report);
  });
}
