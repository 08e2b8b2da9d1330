import { createInterface } from "node:readline/promises";
import { UsageError } from "./exit-code.ts";

/** Asks on the terminal; only `y` or `yes` agrees. @throws UsageError when nobody is there to answer */
export async function confirmOnTerminal(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new UsageError("This asks before it acts, and there is no terminal to ask on.", "Add --yes.");
  }
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await reader.question(`${question} [y/N] `)).trim());
  } catch {
    // Ctrl-C or Ctrl-D is a no.
    return false;
  } finally {
    reader.close();
  }
}
