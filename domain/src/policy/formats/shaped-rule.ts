import type { Cidr, Direction, PolicyRule } from "../model.ts";
import type { ShapedRule } from "../yaml/quick/shaped-rule.ts";
import type { Reporter } from "../yaml/reporter.ts";
import { protocolNumber } from "./ports.ts";

const NO_PREFIXES: readonly Cidr[] = [];

/** The rule that the usual way gives for it, without a look at its entries: nothing can be wrong in a rule of this shape. */
export function readShapedRule(report: Reporter, node: ShapedRule, direction: Direction, index: number): PolicyRule {
  const { address, prefixLength, protocol, low, high, cidrStart, cidrEnd, portStart, portEnd } = node.values;
  const bytes = new Uint8Array(4);
  bytes[0] = address >>> 24;
  bytes[1] = address >>> 16;
  bytes[2] = address >>> 8;
  bytes[3] = address;
  const cidr: Cidr = { family: 4, bytes, prefixLength };
  const peer = {
    kind: "addresses",
    cidr,
    except: NO_PREFIXES,
    source: report.range({ start: cidrStart, end: cidrEnd }),
  } as const;
  const source = report.range({ start: portStart, end: portEnd });
  const port = { kind: "range", protocol: protocolNumber(protocol), low, high, source } as const;
  return {
    direction,
    index,
    name: null,
    action: "allow",
    peers: [peer],
    ports: [port],
    source: report.range(node),
  };
}
