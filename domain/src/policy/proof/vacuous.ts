/** Why there is no connection that a case is about. */
import { type AccessModel, type EndMembers, findConnection, membersOf } from "../access/index.ts";
import type { PolicyTestCase } from "../model.ts";

/** One sentence. `parts` together are one case, and none of them is about any connection. */
export function whyNobody(model: AccessModel, parts: readonly PolicyTestCase[]): string {
  const from = parts.map((part) =>
    membersOf(model, part.from, part.via?.kind === "through" ? part.via.selector : null),
  );
  const to = parts.map((part) => membersOf(model, part.to));
  const nobody = whyEmpty("from", from) ?? whyEmpty("to", to);
  if (nobody !== null) return nobody;
  const isInventory = [...from, ...to].some(({ endpoints }) => endpoints.length > 0);
  if (!isInventory) return "No host or workload is on either side, so no policy is asked.";
  const meetsWithoutPorts = parts.some(
    ({ from, to, via }) =>
      findConnection(
        model,
        { from, to, ports: null, fromWithout: via?.kind === "through" ? via.selector : null },
        () => true,
      ) !== null,
  );
  if (meetsWithoutPorts) return 'Nobody in "to" has any of the ports, or they are decided before any policy.';
  return "The two sides have no connection with each other: one address, or no address family in common.";
}

function whyEmpty(side: "from" | "to", members: readonly EndMembers[]): string | null {
  if (members.some(({ endpoints, hasOutside }) => endpoints.length > 0 || hasOutside)) return null;
  const hasMembers = members.some(({ withoutAddress }) => withoutAddress.length > 0);
  return hasMembers ? `Nobody in "${side}" has an address.` : `Nobody is in "${side}".`;
}
