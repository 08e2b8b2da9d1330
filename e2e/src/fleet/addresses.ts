/** The private networks of fleets, one for each place, and whether this machine has use for one of them already. */
import { mustRun } from "./run-program.ts";

export const SLOT_COUNT = 64;
const CONSOLE = 1;
const FIRST_HOST = 11;

export interface DualAddress {
  readonly 4: string;
  readonly 6: string;
}

/** 10.231.SLOT.0/24 and fd77:f1ee:7:SLOT::/64. */
function addressIn(slot: number, number: number): DualAddress {
  return { 4: `10.231.${slot}.${number}`, 6: `fd77:f1ee:7:${slot.toString(16)}::${number.toString(16)}` };
}

export const consoleAddress = (slot: number): DualAddress => addressIn(slot, CONSOLE);
/** @param index of the host, from 0 to 239 */
export const hostAddress = (slot: number, index: number): DualAddress => addressIn(slot, FIRST_HOST + index);
export const networkPrefix = (slot: number): DualAddress => ({
  4: `10.231.${slot}.0/24`,
  6: `fd77:f1ee:7:${slot.toString(16)}::/64`,
});

interface Route {
  readonly dst?: string;
}

/** Every IPv4 destination that this machine has a route to, except the default. */
export async function addressesOfMachine(): Promise<readonly string[]> {
  const routes = JSON.parse(await mustRun("ip", ["-4", "-j", "route", "show", "table", "all"])) as Route[];
  return routes.flatMap(({ dst }) => (dst && dst !== "default" ? [dst] : []));
}

/** Whether one of the destinations and the fleet's network have an address in common. */
export function overlapsFleet(slot: number, destinations: readonly string[]): boolean {
  const ours = { base: numberOf(addressIn(slot, 0)[4]), bits: 24 };
  return destinations.some((destination) => {
    const [address = "", length = "32"] = destination.split("/");
    if (!/^\d+(\.\d+){0,3}$/.test(address)) return false;
    const bits = Math.min(Number(length), ours.bits);
    const mask = bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
    return (numberOf(address) & mask) >>> 0 === (ours.base & mask) >>> 0;
  });
}

/** `ip` may shorten `10.0.0.0` to `10`. */
function numberOf(address: string): number {
  const bytes = address.split(".").map(Number);
  while (bytes.length < 4) bytes.push(0);
  return bytes.reduce((number, byte) => number * 256 + byte, 0);
}
