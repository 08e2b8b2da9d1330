/**
 * How long a word counts, per source: the one place where that is written down. Ages are of one clock: of what a host sent,
 * the time since it came in here; inside of what it sent, the time between two stamps of its own clock. Stamps of two
 * machines are never compared. A word of exactly this age no longer counts. Whether a neighbour is up is judged by the agent that
 * sees it, and not a second time here.
 */
export const MESH_LIVENESS = {
  /** What a host says, since it came in. Agents tell at least every 10 s. */
  hostMs: 30_000,
  /** An answer of the mesh's daemon: its age when it was told, and the time since. Agents ask every second. */
  daemonMs: 30_000,
  /** From when a host is known until it has to have said something. */
  initializingMs: 30_000,
  /** A lost link, and a node that nobody sees, are kept in the picture for so long. */
  lostMs: 900_000,
} as const;

/** What one host may put into the picture, and what the picture holds. What is beyond is left out and told. */
export const MESH_LIMITS = {
  providersOfHost: 8,
  peersOfProvider: 1_000,
  probesOfHost: 256,
  /** Lost neighbours that are remembered, per host and provider. */
  lostPeersOfProvider: 200,
  nodes: 20_000,
  links: 60_000,
  problems: 200,
  sentenceLength: 500,
} as const;
