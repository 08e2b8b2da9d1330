/** What a person may want to do about a finding. */

import type { Direction } from "../../policy/model.ts";
import type { FindingAction } from "../finding.ts";

export function denyAction(
  subjectKey: string,
  direction: Direction,
  remote: string,
  protocol: number,
  port: number,
): FindingAction[] {
  if (!/^[0-9a-f.:]{2,45}$/i.test(remote)) return [];
  const remoteCidr = `${remote}/${remote.includes(":") ? 128 : 32}`;
  return [{ kind: "deny", subjectKey, direction, remoteCidr, protocol, port }];
}

export function quarantineAction(subjectKey: string): FindingAction[] {
  return subjectKey === "" ? [] : [{ kind: "quarantine", subjectKey }];
}
