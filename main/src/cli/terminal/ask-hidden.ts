/** One line from the person at the terminal, shown or not while it is typed. */
import { visible } from "./visible.ts";

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const CTRL_U = "\u0015";
const BACKSPACES = new Set(["\u0008", "\u007f"]);
const MAX_LENGTH = 4096;

export interface TypedInput {
  readonly isTTY?: boolean;
  setRawMode?(isRaw: boolean): unknown;
  on(event: "data", listener: (chunk: Buffer | string) => void): unknown;
  off(event: "data", listener: (chunk: Buffer | string) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

/** `null` when the person gives up (Ctrl-C, Ctrl-D) or the signal aborts. The prompt goes to `write`. */
export function askLine(
  prompt: string,
  isShown: boolean,
  signal: AbortSignal,
  input: TypedInput = process.stdin,
  write: (text: string) => void = (text) => void process.stderr.write(text),
): Promise<string | null> {
  return new Promise((resolve) => {
    let line = "";
    const finish = (answer: string | null) => {
      input.off("data", read);
      signal.removeEventListener("abort", leave);
      input.setRawMode?.(false);
      input.pause();
      write("\n");
      resolve(answer);
    };
    const leave = () => finish(null);
    const read = (chunk: Buffer | string) => {
      for (const character of chunk.toString()) {
        if (character === "\r" || character === "\n") return finish(line);
        if (character === CTRL_C || (character === CTRL_D && line === "")) return finish(null);
        if (character === CTRL_U) {
          if (isShown) write("\b \b".repeat([...line].length));
          line = "";
        } else if (BACKSPACES.has(character)) {
          if (isShown && line !== "") write("\b \b");
          line = [...line].slice(0, -1).join("");
        } else if (line.length < MAX_LENGTH) {
          line += character;
          if (isShown) write(visible(character));
        }
      }
    };
    write(prompt);
    input.setRawMode?.(true);
    input.on("data", read);
    input.resume();
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
  });
}
