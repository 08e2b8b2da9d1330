/** What the editor knows of the fleet beyond the texts: what flows used, what rules decided, who was discovered. */

export interface PortUse {
  /** IP protocol number. */
  readonly protocol: number;
  readonly port: number;
  readonly flows: number;
  readonly denied: number;
}

export interface AddressUse {
  readonly address: string;
  /** Empty = nobody knows. */
  readonly name: string;
  readonly flows: number;
}

/** What a rule decided, by its decision id. */
export interface RuleUse {
  /** Of the recorded flows. */
  readonly flows: number;
  readonly denied: number;
  readonly lastFlowUnixMs: number | null;
  /** Of the hosts' counters; `hostCount` is 0 where no host has the rule. */
  readonly packets: number;
  readonly hostCount: number;
  readonly countedAtUnixMs: number | null;
  readonly lastHitUnixMs: number | null;
}

export interface DiscoveredName {
  readonly kind: "member" | "service";
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
}

export interface FleetFacts {
  /** Most used first. */
  readonly ports: readonly PortUse[];
  readonly addresses: readonly AddressUse[];
  readonly rules: ReadonlyMap<string, RuleUse>;
  readonly discovered: readonly DiscoveredName[];
  /** How many flows were looked at, and from when on. */
  readonly flows: number;
  readonly sinceUnixMs: number | null;
  readonly hostsAsked: number;
  readonly hostsCounting: number;
}

export const NO_FACTS: FleetFacts = {
  ports: [],
  addresses: [],
  rules: new Map(),
  discovered: [],
  flows: 0,
  sinceUnixMs: null,
  hostsAsked: 0,
  hostsCounting: 0,
};
