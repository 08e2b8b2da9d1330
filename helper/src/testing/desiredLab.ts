/** Nodes with the desired set on one store, with a lead that tests give and take, and hosts on doubles or on real kernels. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type DocumentWrite,
  DocumentWriteSchema,
  type WriteDocumentsRequest,
  WriteDocumentsRequestSchema,
} from "@wardline/api/wardline/agent/v1/cluster";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { pino } from "pino";
import { type Clock, systemClock } from "../agent/clock.ts";
import { DesiredReplica } from "../cluster/desired/desiredReplica.ts";
import { DesiredSet } from "../cluster/desired/desiredSet.ts";
import type { WriteCheckpoint } from "../cluster/desired/types.ts";
import { Keys } from "../cluster/keys.ts";
import type { HeldTerm, LeadershipView } from "../cluster/ports.ts";
import type { ClusterStore } from "../cluster/store/clusterStore.ts";

export const LAB_KEYS = new Keys();
export const SILENT = pino({ level: "silent" });

/** Terms without an election: whoever is given the lead has it, and the leader before is fenced off in the store. */
export class LeadOffice {
  readonly #views = new Set<GivenLead>();
  #number = 0n;

  view(name: string, store: ClusterStore): GivenLead {
    const view = new GivenLead(this, name, store);
    this.#views.add(view);
    return view;
  }

  /** The views of others are told, unless `quietly`: then they go on as a node that does not know yet. */
  async give(to: GivenLead, quietly = false): Promise<void> {
    this.#number += 1n;
    const number = this.#number;
    const value = Buffer.from(JSON.stringify({ name: to.name, term: number.toString() }));
    const { revision } = await to.store.transact({ compare: [], then: [{ kind: "put", key: LAB_KEYS.leader, value }] });
    if (!quietly) for (const view of this.#views) view.end();
    to.begin(number, revision);
  }
}

export class GivenLead implements LeadershipView {
  readonly #office: LeadOffice;
  readonly name: string;
  readonly store: ClusterStore;
  readonly #listeners = new Set<() => void>();
  #held: (HeldTerm & { readonly controller: AbortController }) | null = null;

  constructor(office: LeadOffice, name: string, store: ClusterStore) {
    this.#office = office;
    this.name = name;
    this.store = store;
  }

  take(quietly = false): Promise<void> {
    return this.#office.give(this, quietly);
  }

  begin(number: bigint, revision: bigint): void {
    const controller = new AbortController();
    const fence = [{ key: LAB_KEYS.leader, target: "mod", operator: "=", number: revision }] as const;
    this.#held = { number, fence, signal: controller.signal, controller };
    for (const listener of [...this.#listeners]) listener();
  }

  end(): void {
    this.#held?.controller.abort();
    this.#held = null;
    for (const listener of [...this.#listeners]) listener();
  }

  held(): HeldTerm | null {
    return this.#held;
  }

  leader() {
    return this.#held && { name: this.name, term: this.#held.number };
  }

  terms() {
    return [];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export interface LabNodeOptions {
  readonly clock?: Clock;
  readonly checkpoint?: (step: WriteCheckpoint) => void | Promise<void>;
}

/** One candidate. */
export class LabNode {
  readonly replica: DesiredReplica;
  readonly set: DesiredSet;
  readonly lead: GivenLead;
  readonly store: ClusterStore;

  constructor(office: LeadOffice, name: string, store: ClusterStore, options: LabNodeOptions = {}) {
    const { clock = systemClock, checkpoint } = options;
    const common = { store, keys: LAB_KEYS, clock, log: SILENT };
    this.store = store;
    this.lead = office.view(name, store);
    this.replica = new DesiredReplica(common);
    const hook = checkpoint === undefined ? {} : { checkpoint };
    this.set = new DesiredSet({ ...common, replica: this.replica, leadership: this.lead, ...hook });
    this.replica.start();
  }

  /** Runs the duties of the leader until the signal or the end of the term. */
  runDuties(): Promise<unknown> {
    const term = this.lead.held();
    if (!term) throw new Error("this node does not lead");
    return Promise.all(this.set.duties().map((duty) => duty.run(term).catch(() => undefined)));
  }

  async close(): Promise<void> {
    this.lead.end();
    this.set.close();
    await this.replica.close();
  }
}

/** A policy that lets in one port, for the hosts of the label. */
export function policyText(name: string, port: number, more = ""): string {
  return `${more}apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ${name}}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: ${port}}]}]
`;
}

export function policyKey(name: string): string {
  return `networkpolicy/default/${name}`;
}

export function writeOf(name: string, port: number, baseVersion: bigint, more = ""): DocumentWrite {
  return create(DocumentWriteSchema, { text: policyText(name, port, more), baseVersion });
}

export function deletionOf(name: string, baseVersion: bigint): DocumentWrite {
  return create(DocumentWriteSchema, { deleteKey: policyKey(name), baseVersion });
}

export interface RequestOptions
  extends Partial<Pick<WriteDocumentsRequest, "reason" | "mode" | "dryRun" | "replaceAll" | "requestId">> {
  readonly confirmWithinMs?: number;
}

export function requestOf(writes: readonly DocumentWrite[], options: RequestOptions = {}): WriteDocumentsRequest {
  const { confirmWithinMs, ...rest } = options;
  return create(WriteDocumentsRequestSchema, {
    writes: [...writes],
    mode: EnforcementMode.ENFORCE,
    ...rest,
    ...(confirmWithinMs === undefined ? {} : { confirmWithin: durationFromMs(confirmWithinMs) }),
  });
}
