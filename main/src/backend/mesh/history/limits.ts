/** How long and how much of the meshes is kept, and how it is written. */
export interface MeshHistoryLimits {
  readonly keptMs: number;
  /** Of what is in use in the file. */
  readonly maxBytes: number;
  /** Hosts are given so long to say something before what is seen counts as the picture. */
  readonly settleMs: number;
  readonly sampleEveryMs: number;
  /** A whole picture at least so often. */
  readonly keyframeEveryMs: number;
  /** And after so many changes, so that none has to be put together from many. */
  readonly changesPerKeyframe: number;
}

export const MESH_HISTORY_LIMITS: MeshHistoryLimits = {
  keptMs: 30 * 86_400_000,
  maxBytes: 200 * 1024 * 1024,
  settleMs: 10_000,
  sampleEveryMs: 60_000,
  keyframeEveryMs: 3_600_000,
  changesPerKeyframe: 2_000,
};
