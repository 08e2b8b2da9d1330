/** The desired set as the store has it now, read whole at one revision. */
import type { Keys } from "../keys.ts";
import type { CallOptions, ClusterStore } from "../store/clusterStore.ts";
import { decodePiece, type Overlay } from "./records.ts";
import { type ReadPieces, StateModel } from "./stateModel.ts";

const SNAPSHOT_TIMEOUT_MS = 20_000;

export async function readModel(store: ClusterStore, keys: Keys, options: CallOptions = {}): Promise<StateModel> {
  const model = new StateModel(keys);
  model.reset(await store.range(keys.desired, { timeoutMs: SNAPSHOT_TIMEOUT_MS, ...options }));
  return model;
}

/**
 * For a watch that began while pieces were written: those before it are read now. They are gone when the documents have
 * reached their places meanwhile, and then the watch brings them.
 */
export function piecesFrom(store: ClusterStore, keys: Keys, signal: AbortSignal): ReadPieces {
  return async ({ attempt }: Overlay) => {
    const { items } = await store.range(keys.stagedPieces(attempt), { signal, timeoutMs: SNAPSHOT_TIMEOUT_MS });
    return items.map(({ key, value }) => decodePiece(key, value));
  };
}
