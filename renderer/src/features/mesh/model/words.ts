/** How nodes, links and their figures read. What was not measured is said to be so, never shown as zero. */
import {
  LinkClass,
  type MeshDirection,
  type MeshLink,
  type MeshNode,
  MeshNodeState,
} from "@wardline/api/wardline/console/v1/mesh";
import { MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import type { MeshPicture } from "../../../data/mesh-picture.ts";
import { formatCount, type VerdictShape, visibleText } from "../../../ui/index.ts";

export const PROVIDER_NAMES: Record<MeshProvider, string> = {
  [MeshProvider.UNSPECIFIED]: "unknown mesh",
  [MeshProvider.YGGDRASIL]: "Yggdrasil",
  [MeshProvider.BATMAN]: "batman-adv",
  [MeshProvider.IP]: "IP",
};

export const NODE_STATES: Record<MeshNodeState, { readonly words: string; readonly shape: VerdictShape }> = {
  [MeshNodeState.UNSPECIFIED]: { words: "unknown", shape: "unknown" },
  [MeshNodeState.INITIALIZING]: { words: "starting", shape: "unknown" },
  [MeshNodeState.ONLINE]: { words: "online", shape: "allow" },
  [MeshNodeState.DEGRADED]: { words: "degraded", shape: "observed" },
  [MeshNodeState.OFFLINE]: { words: "offline", shape: "deny" },
  [MeshNodeState.UNKNOWN]: { words: "unknown", shape: "unknown" },
};

export const DAEMON_STATES: Record<MeshProviderState, { readonly words: string; readonly shape: VerdictShape }> = {
  [MeshProviderState.UNSPECIFIED]: { words: "not told", shape: "unknown" },
  [MeshProviderState.ABSENT]: { words: "not on this host", shape: "unknown" },
  [MeshProviderState.DOWN]: { words: "does not run", shape: "deny" },
  [MeshProviderState.UNRESPONSIVE]: { words: "does not answer", shape: "deny" },
  [MeshProviderState.UNSUPPORTED]: { words: "answers in an unknown way", shape: "observed" },
  [MeshProviderState.UP]: { words: "runs", shape: "allow" },
};

export const CLASS_NAMES: Record<LinkClass, string> = {
  [LinkClass.UNSPECIFIED]: "not measured",
  [LinkClass.EXCELLENT]: "excellent",
  [LinkClass.GOOD]: "good",
  [LinkClass.FAIR]: "fair",
  [LinkClass.POOR]: "poor",
  [LinkClass.BAD]: "bad",
  [LinkClass.UNMEASURED]: "not measured",
};

const CLASS_SHAPES: Record<LinkClass, VerdictShape> = {
  [LinkClass.UNSPECIFIED]: "unknown",
  [LinkClass.EXCELLENT]: "allow",
  [LinkClass.GOOD]: "allow",
  [LinkClass.FAIR]: "observed",
  [LinkClass.POOR]: "observed",
  [LinkClass.BAD]: "deny",
  [LinkClass.UNMEASURED]: "unknown",
};

/** One direction in a word and a shape: `good`, `lost`, `not told`. */
export function directionWords(direction: MeshDirection | undefined): { words: string; shape: VerdictShape } {
  if (!direction?.observed) return { words: "not told", shape: "unknown" };
  if (!direction.up) return { words: "lost", shape: "deny" };
  return { words: CLASS_NAMES[direction.class], shape: CLASS_SHAPES[direction.class] };
}

/** A link as a whole: the worse of both ways. */
export function linkWords(link: MeshLink): { words: string; shape: VerdictShape } {
  if (link.flapping) return { words: "flapping", shape: "observed" };
  if (!link.up) return { words: "lost", shape: "deny" };
  const worst = worstClass(link);
  return { words: CLASS_NAMES[worst], shape: CLASS_SHAPES[worst] };
}

/** Of the measured directions; UNMEASURED when none is. */
export function worstClass({ aToB, bToA }: MeshLink): LinkClass {
  const classes = [aToB, bToA]
    .filter((direction) => direction?.observed)
    .map((direction) => direction?.class ?? LinkClass.UNMEASURED)
    .filter((value) => value !== LinkClass.UNSPECIFIED && value !== LinkClass.UNMEASURED);
  return classes.length === 0 ? LinkClass.UNMEASURED : (Math.max(...classes) as LinkClass);
}

export function isWeak(link: MeshLink): boolean {
  const worst = worstClass(link);
  return link.up && (worst === LinkClass.POOR || worst === LinkClass.BAD);
}

const LONGEST_LABEL = 60;

/** Short enough for a line; the whole is in the panel. */
export function nodeLabel(node: MeshNode | undefined, id = ""): string {
  const text = visibleText((node?.label || node?.id || id).slice(0, LONGEST_LABEL + 1));
  return text.length > LONGEST_LABEL ? `${text.slice(0, LONGEST_LABEL)}…` : text;
}

export function linkLabel(link: Pick<MeshLink, "a" | "b">, picture: Pick<MeshPicture, "nodes">): string {
  return `${nodeLabel(picture.nodes.get(link.a), link.a)} – ${nodeLabel(picture.nodes.get(link.b), link.b)}`;
}

const NUMBER = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export function latencyText(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return "not measured";
  return `${ms >= 100 ? formatCount(Math.round(ms)) : NUMBER.format(ms)} ms`;
}

/** 0 to 1 as `1.2 %`. */
export function shareText(share: number | undefined): string {
  if (share === undefined || !Number.isFinite(share)) return "not measured";
  return `${NUMBER.format(share * 100)} %`;
}

export function scoreText(score: number | undefined): string {
  return score === undefined || !Number.isFinite(score) ? "not measured" : String(Math.round(score));
}

/** `12.4 Mbit/s`. */
export function bitRateText(bitsPerSecond: number | bigint | undefined): string {
  if (bitsPerSecond === undefined) return "not measured";
  let amount = Number(bitsPerSecond);
  if (!Number.isFinite(amount)) return "not measured";
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
  let unit = 0;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return `${NUMBER.format(amount)} ${units[unit]}`;
}
