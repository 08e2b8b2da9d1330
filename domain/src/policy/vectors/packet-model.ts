/** A case about packets against tiers of rules, as its file has it. */
import type { Action, Cidr, ProtocolNumber, Verdict } from "../model.ts";
import type { PortRange } from "./services.ts";

/** A member of a named-port set: address, protocol and port together. */
export interface NamedPortMember {
  readonly net: Cidr;
  readonly protocol: ProtocolNumber;
  readonly port: number;
}

/** The conditions on one side of a packet. `null` = no condition. */
export interface SideConditions {
  readonly nets: readonly Cidr[] | null;
  readonly notNets: readonly Cidr[];
  /** The address must be in each of these sets. */
  readonly ipSets: readonly (readonly Cidr[])[];
  readonly notIpSets: readonly (readonly Cidr[])[];
  /** Ports and members of named-port sets are alternatives to each other. */
  readonly ports: readonly PortRange[] | null;
  readonly namedPorts: readonly NamedPortMember[] | null;
  readonly notPorts: readonly PortRange[];
}

export interface IcmpCondition {
  readonly type: number;
  /** `null` = any. */
  readonly code: number | null;
}

export interface PacketRule {
  readonly action: Action;
  readonly protocol: ProtocolNumber | null;
  readonly notProtocol: ProtocolNumber | null;
  readonly source: SideConditions;
  readonly destination: SideConditions;
  readonly icmp: IcmpCondition | null;
  readonly notIcmp: IcmpCondition | null;
}

export interface PacketTier {
  readonly name: string;
  readonly endAction: "deny" | "pass";
  readonly policies: readonly { readonly name: string; readonly rules: readonly PacketRule[] }[];
}

export interface PacketProbe {
  readonly source: string;
  readonly destination: string;
  readonly protocol: ProtocolNumber;
  /** `null` for protocols without ports. */
  readonly sourcePort: number | null;
  readonly destinationPort: number | null;
  readonly icmp: { readonly type: number; readonly code: number } | null;
  readonly expect: Verdict;
}

export interface PacketCase {
  readonly name: string;
  readonly source: string;
  readonly family: 4 | 6;
  readonly tiers: readonly PacketTier[];
  readonly packets: readonly PacketProbe[];
}
