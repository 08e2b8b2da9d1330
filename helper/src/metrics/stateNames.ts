/** Values of labels: closed lists. */
import { MemberState, SyncState } from "@wardline/api/wardline/v1/cluster";
import {
  HealingOutcome,
  HealingState,
  MeshFault,
  MeshProvider,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";

export const MEMBER_STATE_NAMES: Readonly<Record<number, string>> = {
  [MemberState.JOINING]: "joining",
  [MemberState.HEALTHY]: "healthy",
  [MemberState.UNHEALTHY]: "unhealthy",
  [MemberState.STOPPED]: "stopped",
  [MemberState.GONE]: "gone",
};

export const SYNC_STATE_NAMES: Readonly<Record<number, string>> = {
  [SyncState.ACTIVE]: "active",
  [SyncState.PENDING]: "pending",
  [SyncState.APPLYING]: "applying",
  [SyncState.REFUSED]: "refused",
  [SyncState.ROLLED_BACK]: "rolled_back",
  [SyncState.CUT_OFF]: "cut_off",
  [SyncState.IDLE]: "idle",
};

/** `PEER_DOWN` becomes `peer_down`; what stands for "not given" is left out. */
function namesOf(values: object): Readonly<Record<number, string>> {
  const known = Object.entries(values).filter(([name, value]) => typeof value === "number" && name !== "UNSPECIFIED");
  return Object.fromEntries(known.map(([name, value]) => [value, name.toLowerCase()]));
}

export const MESH_PROVIDER_NAMES = namesOf(MeshProvider);
export const MESH_PROVIDER_STATE_NAMES = namesOf(MeshProviderState);
export const MESH_FAULT_NAMES = namesOf(MeshFault);
export const HEALING_STATE_NAMES = namesOf(HealingState);
export const HEALING_OUTCOME_NAMES = namesOf(HealingOutcome);
