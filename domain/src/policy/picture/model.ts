/** The picture of the policy: groups, and between any two of them what a draft allows, what is enforced and what was seen. */
import type { AccessModel, PortRangePart } from "../access/index.ts";
import type { AddressRegion } from "../diff/index.ts";
import type { Endpoint } from "../model.ts";

export type PictureGrouping =
  /** Endpoints of one kind and namespace with equal values of these keys. */
  | { readonly by: "labels"; readonly keys: readonly string[] }
  | { readonly by: "namespace" }
  | { readonly by: "host" }
  | { readonly by: "endpoint" };

export type PictureNodeKind = "group" | "endpoint" | "network" | "mesh" | "world";

export interface PictureNode {
  /** Stable over windows and drafts: `group:shop app=web`, `host:web-1`, `net:10.0.0.0/8`, `world`. */
  readonly id: string;
  readonly kind: PictureNodeKind;
  readonly name: string;
  /** Empty for addresses of no endpoint, and where endpoints of several are together. */
  readonly namespace: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Empty for addresses of no endpoint. */
  readonly members: readonly Endpoint[];
  /** Of networks that were put together here; else empty. */
  readonly networks: readonly string[];
  /** Addresses of no endpoint that are meant. */
  readonly regions: readonly AddressRegion[];
  /** Members that a policy of the draft selects for the direction. */
  readonly ingressMembers: number;
  readonly egressMembers: number;
  /** Of the draft, sorted. */
  readonly policyKeys: readonly string[];
  /** Members whose host cannot say what it enforces. */
  readonly unknownMembers: number;
}

export type AccessKind = "all" | "some-ports" | "some-members" | "none" | "unknown";

/** What one side of a comparison lets through from one node to another. */
export interface PictureSide {
  readonly access: AccessKind;
  /** Of any pair of addresses. */
  readonly ports: readonly PortRangePart[];
  /** Pairs of different addresses of members, of one family; addresses of no endpoint that are treated alike are one. */
  readonly pairs: number;
  /** Those that may connect on some port. */
  readonly allowedPairs: number;
  /** Those of which nobody can say. */
  readonly unknownPairs: number;
  /** Whether a rule allows some of it, not only the absence of one. Of the draft. */
  readonly byRule: boolean;
  /** A policy in observe mode would deny some of what is let through. Of the draft. */
  readonly isObserved: boolean;
}

export interface PictureFlows {
  /** Connections that were let through, and packets that were not. */
  readonly connections: number;
  readonly deniedPackets: number;
  /** Of the connections: those that a policy in observe mode would have denied. */
  readonly observed: number;
  /** Of the connections: those that the draft denies; of the denied packets: those that it lets through. */
  readonly wouldDeny: number;
  readonly wouldAllow: number;
  /** 0 = never. */
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

/** In order of importance. */
export const PICTURE_CLASSES = ["would-close", "would-open", "tried", "used", "unused", "unknown"] as const;
export type PictureClass = (typeof PICTURE_CLASSES)[number];

export interface PictureEdge {
  readonly sourceId: string;
  readonly destinationId: string;
  readonly draft: PictureSide;
  readonly enforced: PictureSide;
  readonly flows: PictureFlows;
  /** All that hold, most important first. */
  readonly classes: readonly PictureClass[];
  /** Allowed by the draft and not enforced so, and the other way round. */
  readonly opens: readonly PortRangePart[];
  readonly closes: readonly PortRangePart[];
  /** No policy of the draft is asked at either end. */
  readonly isUnrestricted: boolean;
}

/** What a host enforces, as far as it is known. */
export type EnforcedAt =
  | { readonly kind: "nothing" }
  | { readonly kind: "unknown" }
  | { readonly kind: "world"; readonly model: AccessModel };

/** Flows that differ only in time, each counted once however many hosts saw it. */
export interface PictureFlow {
  /** `null` = nobody in the inventory. */
  readonly sourceKey: string | null;
  readonly sourceAddress: string;
  readonly destinationKey: string | null;
  readonly destinationAddress: string;
  readonly protocol: number;
  /** `type << 8 | code` for ICMP. */
  readonly port: number;
  readonly connections: number;
  readonly deniedPackets: number;
  readonly observed: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

/** A flow with its place in the picture. */
export interface PlacedFlow {
  readonly flow: PictureFlow;
  readonly isAllowed: boolean;
}

export interface PictureInput {
  readonly draft: AccessModel;
  readonly grouping: PictureGrouping;
  /** By the name of a host; asked once each. */
  readonly enforcedAt: (hostName: string) => EnforcedAt;
  readonly flows: readonly PictureFlow[];
  /** More groups are put together by something coarser; default {@link MAX_NODES}. */
  readonly maxNodes?: number;
  /** Default {@link MAX_EDGES}. */
  readonly maxEdges?: number;
}

export const MAX_NODES = 500;
export const MAX_NETWORKS = 60;
export const MAX_EDGES = 6_000;
