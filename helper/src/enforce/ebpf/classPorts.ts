/** The port entries of a program, of which some classes may have others in place of those in the list: by class, and whole. */
import type { ProgramColumns } from "./columns.ts";
import type { PrefixList } from "./ranges.ts";

/** Where the port entries of a class are: from one to before another place of these lists. */
export interface ClassPorts extends PrefixList {
  readonly from: number;
  readonly to: number;
}

export function portsOfClass({ ports, portStarts, patched }: ProgramColumns, classId: number): ClassPorts {
  const own = patched.get(classId);
  if (own !== undefined) return { ...own, from: 0, to: own.lows.length };
  const { lows, highs, values } = ports;
  return { lows, highs, values, from: portStarts[classId] as number, to: portStarts[classId + 1] as number };
}

/** Takes as long as there are entries when something is patched. */
export function wholePorts({ ports, portStarts, patched }: ProgramColumns): ProgramColumns["ports"] {
  if (patched.size === 0) return ports;
  const whole = { lows: ports.lows.slice(), highs: ports.highs.slice(), values: ports.values.slice() };
  for (const [classId, own] of patched)
    for (const name of ["lows", "highs", "values"] as const) whole[name].set(own[name], portStarts[classId] as number);
  return { ...whole, classIds: ports.classIds, places: ports.places };
}
