/** Traffic filters (tc) of an interface, whoever made them. */
import { findAttribute, textOf } from "../netfilter/attributes.ts";
import { RouteQuestions } from "./routeSocket.ts";

const RTM_GETTFILTER = 46;
/** `struct tcmsg`. */
const MESSAGE_BYTES = 20;
const TCA_KIND = 1;
/** The two places of a clsact qdisc. */
const PARENTS = [0xfffffff2, 0xfffffff3] as const;

export interface TrafficFilter {
  readonly kind: string;
  readonly handle: number;
  readonly priority: number;
}

/** Filters at both places of the interface's clsact qdisc; none when it has no such qdisc. Own namespace only. */
export function listTrafficFilters(interfaceIndex: number): readonly TrafficFilter[] {
  const questions = new RouteQuestions(null);
  try {
    return PARENTS.flatMap((parent) => {
      const body = Buffer.alloc(MESSAGE_BYTES);
      body.writeInt32LE(interfaceIndex, 4);
      body.writeUInt32LE(parent, 12);
      return questions.list(RTM_GETTFILTER, body).flatMap(parseFilter);
    });
  } finally {
    questions.close();
  }
}

/** The kernel also lists chains and protocols as such: those have no handle. */
function parseFilter(payload: Buffer): readonly TrafficFilter[] {
  const handle = payload.readUInt32LE(8);
  const priority = payload.readUInt32LE(16) >>> 16;
  const kind = textOf(findAttribute(payload.subarray(MESSAGE_BYTES), TCA_KIND));
  return handle === 0 ? [] : [{ kind, handle, priority }];
}
