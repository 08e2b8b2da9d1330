/**
 * sshd leaves Nagle's algorithm on for a connection until one of its sessions has a terminal; each small answer then
 * waits for the acknowledgement of the one before, 40 ms on most systems. One idle terminal, opened before any other
 * session and held for as long as the connection lives, turns that off.
 */
import type { Client, ClientChannel } from "ssh2";
import { fixedCommand } from "../fixed-command.ts";

/** Waits for input that never comes. Every shell knows it, and it ends with the terminal. */
const IDLE = fixedCommand("exec cat");
const LIMIT_MS = 5000;

/** `null` where the server gives no terminal: then everything works, only slower. Never throws. */
export function holdTerminal(client: Client): Promise<ClientChannel | null> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), LIMIT_MS);
    const settle = (channel: ClientChannel | null) => {
      clearTimeout(timer);
      resolve(channel);
    };
    try {
      client.exec(IDLE, { pty: { term: "dumb", rows: 24, cols: 80 } }, (error, channel) => {
        if (error) return settle(null);
        channel.on("error", () => {});
        // What a login greets with is nobody's business.
        channel.resume();
        channel.stderr.resume();
        settle(channel);
      });
    } catch {
      settle(null);
    }
  });
}
