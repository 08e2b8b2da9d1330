/** A child process in a network namespace and a cgroup that opens sockets when told; see socketPeerMain.ts. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { PeerAnswer, PeerCommand, PeerLate } from "./socketPeerMain.ts";
import type { Destination, TransferSizes } from "./transfers.ts";

const MAIN = fileURLToPath(new URL("./socketPeerMain.ts", import.meta.url));

type Outcome = PeerAnswer["outcome"];

/** Who is late with an answer has taken the question with the first, read it with the second and is done at the third. */
const ROUNDS = 3;
/** One that hangs keeps nobody from giving up. */
const ROUNDS_LIMIT_MS = 10_000;

/** Everybody who may owe somebody an answer. */
const living = new Set<SocketPeer>();

export class SocketPeer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, (answer: PeerAnswer) => void>();
  #serial = 0;

  constructor(namespace: string, cgroup: string | null) {
    const enter = cgroup === null ? "" : `echo $$ > "${cgroup}/cgroup.procs" && `;
    const script = `${enter}exec nsenter "--net=${namespace}" "$0" --no-warnings "$1"`;
    this.#child = spawn("sh", ["-c", script, process.execPath, MAIN]);
    this.#child.stderr.pipe(process.stderr);
    living.add(this);
    this.#child.once("exit", (code) => {
      living.delete(this);
      for (const [id, answer] of this.#waiting) answer({ id, outcome: `the child ended with ${code}` });
    });
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const answer = JSON.parse(line) as PeerAnswer | PeerLate;
      if ("lateWait" in answer) {
        void this.#conclude(answer.lateWait);
        return;
      }
      this.#waiting.get(answer.id)?.(answer);
      this.#waiting.delete(answer.id);
    });
  }

  /** Of the process that opens the sockets: the shell and nsenter have become it. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async #ask(command: PeerCommand): Promise<Outcome> {
    this.#serial += 1;
    const id = this.#serial;
    const { promise, resolve } = Promise.withResolvers<PeerAnswer>();
    this.#waiting.set(id, resolve);
    this.#child.stdin.write(`${JSON.stringify({ id, ...command })}\n`);
    return (await promise).outcome;
  }

  /** Lets a wait end, but not before everybody has had the time to answer. */
  async #conclude(wait: number): Promise<void> {
    const limit = AbortSignal.timeout(ROUNDS_LIMIT_MS);
    const overdue = new Promise<void>((resolve) => limit.addEventListener("abort", () => resolve()));
    for (let round = 0; round < ROUNDS; round++)
      await Promise.race([Promise.all([...living].map((peer) => peer.ready())), overdue]);
    if (living.has(this) && this.#child.stdin.writable) await this.#ask({ do: "conclude", wait });
  }

  async ready(): Promise<void> {
    await this.#ask({ do: "hello" });
  }

  /** Echoes what it gets. */
  async listenTcp(port: number): Promise<void> {
    await this.#ask({ do: "listenTcp", port });
  }

  /** On every address, or on one: then answers come from that one. */
  async listenUdp(port: number, address: string | null = null): Promise<void> {
    await this.#ask({ do: "listenUdp", port, address });
  }

  /** Takes datagrams over IPv4 and answers none. */
  async listenUdpSilently(port: number): Promise<void> {
    await this.#ask({ do: "listenUdpSilently", port });
  }

  /** "ok" = connected and one echo came back; the connection stays open under its name. */
  connectTcp(
    name: string,
    address: string,
    port: number,
    timeoutMs = 400,
    source: string | null = null,
  ): Promise<Outcome> {
    return this.#ask({ do: "connectTcp", name, address, port, timeoutMs, source });
  }

  /** One more echo on an open connection. */
  exchange(name: string, timeoutMs = 400): Promise<Outcome> {
    return this.#ask({ do: "exchange", name, timeoutMs });
  }

  async disconnect(name: string): Promise<void> {
    await this.#ask({ do: "disconnect", name });
  }

  /** Sends `size` bytes and waits for the echo. */
  askUdp(address: string, port: number, size = 16, timeoutMs = 400, source: string | null = null): Promise<Outcome> {
    return this.#ask({ do: "askUdp", address, port, size, timeoutMs, source });
  }

  /** Sends one datagram a millisecond until `stopUdp`. */
  async startUdp(address: string, port: number): Promise<void> {
    await this.#ask({ do: "startUdp", address, port });
  }

  /** Resolves to how many were sent: so many at least, however busy the machine is. */
  async stopUdp(atLeast = 0): Promise<number> {
    return Number(await this.#ask({ do: "stopUdp", atLeast }));
  }

  /** Over TCP and UDP, with as many bytes back as the asker wants; see transfers.ts. */
  async serveTransfers(port: number): Promise<void> {
    await this.#ask({ do: "serveTransfers", port });
  }

  /** "ok" = all bytes went both ways. The connection is opened when there is none of that name, and stays open. */
  transferTcp(name: string, to: Destination, sizes: TransferSizes): Promise<Outcome> {
    return this.#ask({ do: "transferTcp", name, to, sizes });
  }

  /** `count` datagrams and their answers, one after the other, on one connected socket that is closed afterwards. */
  transferUdp(to: Destination, sizes: TransferSizes, count: number): Promise<Outcome> {
    return this.#ask({ do: "transferUdp", to, sizes, count });
  }

  /** How many datagrams arrived on a listening port so far, also those for which the process was too slow. */
  async countUdp(port: number): Promise<number> {
    return Number(await this.#ask({ do: "countUdp", port }));
  }

  /** Opens and closes `count` connections, one after the other; resolves to "ok" when all worked. */
  floodTcp(address: string, port: number, count: number): Promise<Outcome> {
    return this.#ask({ do: "floodTcp", address, port, count });
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#child.once("exit", () => resolve());
    this.#child.stdin.end();
    await promise;
  }
}
