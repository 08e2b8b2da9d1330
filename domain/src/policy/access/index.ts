/**
 * Access, exactly: answers over the whole space of connections (source × destination × protocol × port), each of them
 * proved by construction instead of tried.
 *
 * - `createAccessModel(world)` prepares a world once; questions share what they find out.
 * - `membersOf(model, end)` says whom an end means.
 * - `findConnection(model, question, isWanted)` is the prover's question: the smallest connection of a set for which
 *   something holds, or `null` when it holds for none of them. "All denied" is proved by finding no allowed one,
 *   "all decided by P" by finding none that something else decides.
 * - `decide(model, question)` cuts a set of connections into regions that are decided alike, each connection once.
 * - `decideConnection(model, flow)` decides one, like `evaluate` without the walkthrough.
 * - `reach(model, question)` lists what is allowed, in rows for people.
 * - `diffAccess(old, next)` lists who gains and who loses what from one world to another;
 *   `compareAccess` counts recorded flows by these rows as well.
 *
 * An endpoint counts at each of its addresses, and several behind one address count each for itself, as in `evaluate`.
 */
export type { Member } from "./address-space.ts";
export { decide, decideConnection, findConnection } from "./decide.ts";
export {
  type AccessComparison,
  type AccessDiff,
  type AccessDifference,
  type AccessDiffOptions,
  compareAccess,
  diffAccess,
  type SideChange,
} from "./diff.ts";
export { type CountedFlow, FlowCounter } from "./diff-flows.ts";
export { type AccessEnd, type EndMembers, type MemberGroup, membersOf } from "./member-groups.ts";
export { type AccessModel, createAccessModel } from "./model.ts";
export { ACCESS_END_HELP, parseAccessEnd } from "./parse-end.ts";
export type { Party, PartyEndpoint } from "./party.ts";
export { formatPortSet, type PortRangePart } from "./port-set.ts";
export type {
  AccessQuestion,
  AccessRegion,
  ConnectionExample,
  DecidedConnection,
  DecidedPorts,
} from "./question.ts";
export { type ReachAnswer, type ReachQuestion, type ReachRow, reach } from "./reach.ts";
