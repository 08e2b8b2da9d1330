/** What the cluster's node needs of the agent around it. */
import type { SyncReport } from "@wardline/api/wardline/v1/cluster";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { PolicyEngine } from "../../agent/policyEngine.ts";
import type { AnomalySharing } from "../../anomaly/ports.ts";
import type { AuditTrail } from "../../audit/audited.ts";
import type { GenerationController } from "../../generations/controller.ts";
import type { ReconcilerPorts } from "../desired/types.ts";
import type { Discovery } from "../discovery/discovery.ts";
import { Keys } from "../keys.ts";
import type { MeshSharing } from "../mesh/ports.ts";

export interface NodePorts {
  /** The agent's state directory; the node's own files are in `cluster/` below it. */
  readonly stateDir: string;
  readonly hostName: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly trail: AuditTrail;
  readonly controller: GenerationController & ReconcilerPorts["controller"];
  readonly engine: PolicyEngine;
  readonly discovery: Discovery;
  /** Detection on this host, which shares with the others what is usual; absent = it does not. */
  readonly anomaly?: AnomalySharing;
  /** The meshes of this host, and who carries out what the leader orders for them; absent = it takes no part. */
  readonly mesh?: MeshSharing;
  /** What this host says that it made of a set, each time it says something new. Must not throw. */
  readonly onReport?: (report: SyncReport) => void;
}

/** One cluster has one store of its own, so one root for its keys is enough. */
export const KEYS = new Keys();

/** The lease of a node that is alone, and of a cluster that was made without a wish. */
export const USUAL_LEASE_MS = 5_000;
