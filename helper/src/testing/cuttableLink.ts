/** A stretch of network to one port that can be cut: connections stay, and nothing comes through any more. */
import { connect, createServer, type Server, type Socket } from "node:net";

export class CuttableLink {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: URL;
  #cut = false;

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((near) => this.#join(near));
  }

  /** @param target `http://127.0.0.1:2379` */
  static async open(target: string): Promise<CuttableLink> {
    const link = new CuttableLink(new URL(target));
    await new Promise<void>((resolve) => link.#server.listen({ host: "127.0.0.1", port: 0 }, resolve));
    return link;
  }

  /** What clients use instead of the target. */
  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the link is closed");
    return `${this.#target.protocol}//127.0.0.1:${address.port}`;
  }

  /** From now on nothing comes through, in neither direction; new connections are taken and lead nowhere. */
  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  /** What was joined before stays dead, as after a cable that was out for long; new connections work. */
  mend(): void {
    this.#cut = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket): void {
    this.#keep(near);
    if (this.#cut) return;
    const far = connect(Number(this.#target.port), this.#target.hostname);
    this.#keep(far);
    near.pipe(far);
    far.pipe(near);
    near.once("close", () => far.destroy());
    far.once("close", () => near.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    // Whoever uses the link sees the end of the connection; why it ended is no matter here.
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
  }
}
