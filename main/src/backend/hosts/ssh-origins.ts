/**
 * From where each host sees this console: the address behind any translation or machine in between, and the port that it
 * came in on. A policy that cuts this connection cuts the console off, so plans must know it, also for hosts that are away.
 */
import { canonicalAddress } from "@wardline/domain/policy";
import { fixedCommand } from "../ssh/fixed-command.ts";
import type { SshSession } from "../ssh/ssh-session.ts";
import type { SettingsTable } from "../store/settings-table.ts";

const ASK_TIMEOUT_MS = 3_000;
const MAX_ANSWER_BYTES = 4_096;
/** sshd sets it for every command (sshd(8)): client address and port, own address and port. */
const ASK = fixedCommand('echo "$SSH_CONNECTION"');

export interface SshOrigin {
  /** Canonical text. */
  readonly clientAddress: string;
  readonly serverPort: number;
}

/** `null` for text that is none: a login shell may print anything around it. */
export function parseOrigin(text: string): SshOrigin | null {
  for (const line of text.split("\n")) {
    const [client = "", clientPort = "", server = "", serverPort = "", ...more] = line.trim().split(" ");
    const clientAddress = canonicalAddress(client.replace(/%.*$/, ""));
    const port = /^\d{1,5}$/.test(serverPort) ? Number(serverPort) : 0;
    const isWhole = more.length === 0 && /^\d{1,5}$/.test(clientPort) && canonicalAddress(server.replace(/%.*$/, ""));
    if (clientAddress !== null && isWhole && port >= 1 && port <= 0xffff) return { clientAddress, serverPort: port };
  }
  return null;
}

export class SshOrigins {
  readonly #settings: SettingsTable;
  readonly #known = new Map<string, SshOrigin | null>();

  constructor(settings: SettingsTable) {
    this.#settings = settings;
  }

  /** Last known; `null` when the host never said. */
  of(hostId: string): SshOrigin | null {
    const known = this.#known.get(hostId);
    if (known !== undefined) return known;
    const stored = parseOrigin(this.#settings.text(settingOf(hostId)) ?? "");
    this.#known.set(hostId, stored);
    return stored;
  }

  /** Asks over a new connection. A host that does not say keeps what it said before. */
  async ask(hostId: string, session: SshSession): Promise<void> {
    const answer = await session
      .run(ASK, { timeoutMs: ASK_TIMEOUT_MS, maxOutputBytes: MAX_ANSWER_BYTES })
      // Where commands are forbidden (ForceCommand, no shell) the agent can be used all the same.
      .catch(() => null);
    const origin = parseOrigin(answer?.stdout ?? "");
    if (!origin) return;
    const before = this.of(hostId);
    if (before?.clientAddress === origin.clientAddress && before.serverPort === origin.serverPort) return;
    this.#known.set(hostId, origin);
    this.#settings.set(settingOf(hostId), `${origin.clientAddress} 0 ${origin.clientAddress} ${origin.serverPort}`);
  }
}

/** Of a host that is removed, forgotten with it. */
export function settingOf(hostId: string): string {
  return `ssh_origin:${hostId}`;
}
