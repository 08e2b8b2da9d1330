import { useConsoleNow } from "../../../data/context.tsx";
import { MINUTE_MS } from "../model/slots.ts";

/** The end of the minute that goes on, on the console's clock: questions that end with it are asked once a minute. */
export function useMinute(): number {
  return Math.ceil(useConsoleNow() / MINUTE_MS) * MINUTE_MS;
}
