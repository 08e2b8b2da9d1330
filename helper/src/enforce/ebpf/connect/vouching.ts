/**
 * Tells the connect hooks for which network namespace they may refuse a connection before its first packet: this process'
 * own, while its addresses are all known and nothing in it translates outgoing connections. Everywhere else, and
 * whenever that cannot be known, the packet hooks decide alone.
 */
import { bootTimeNs } from "../../../linux/bootClock.ts";
import { deleteElement, readBatches, updateElement } from "../../../linux/bpf/libbpf.ts";
import { mayTranslateOutgoing } from "../../../linux/outputNat.ts";
import { LOCAL_KEY } from "../layout.ts";
import { addressBytes, type LocalAddresses, networkNamespaceCookie, readLocalAddresses } from "./localAddresses.ts";

const PRESENT = Buffer.alloc(4, 1);
/** How long the kernel believes the last refresh: the word of an agent that died or hangs lapses. */
const VALID_SECONDS = 5n;
const NAT_INTERVAL_NS = 30_000_000_000n;

export interface VouchingPorts {
  readonly cookie: () => bigint | null;
  readonly readAddresses: () => LocalAddresses;
  readonly mayTranslate: () => Promise<boolean>;
  readonly bootNs: () => bigint;
}

const SYSTEM: VouchingPorts = {
  cookie: networkNamespaceCookie,
  readAddresses: readLocalAddresses,
  mayTranslate: () => mayTranslateOutgoing(),
  bootNs: bootTimeNs,
};

export class Vouching {
  readonly #fd: number;
  readonly #ports: VouchingPorts;
  readonly #cookie: bigint | null;
  readonly #known = new Set<string>();
  /** Until it was found out, connections may be translated. */
  #mayTranslate = true;
  #natCheckedNs: bigint | null = null;
  #isChecking = false;
  #isClosed = false;
  #vouches = false;

  constructor(mapFd: number, ports: VouchingPorts = SYSTEM) {
    this.#fd = mapFd;
    this.#ports = ports;
    this.#cookie = ports.cookie();
    this.#forgetEarlier();
  }

  /** What an earlier process left: its list may be old. */
  #forgetEarlier(): void {
    if (this.#cookie === null) return;
    this.#setVouching(false);
    const cookie = this.#cookie;
    const own: Buffer[] = [];
    for (const { keys, count } of readBatches(this.#fd, { keySize: LOCAL_KEY.size, valueSize: 4, cursorSize: 4 }))
      for (let at = 0; at < count * LOCAL_KEY.size; at += LOCAL_KEY.size)
        if (keys.readBigUInt64LE(at + LOCAL_KEY.netnsCookie) === cookie)
          own.push(Buffer.from(keys.subarray(at, at + LOCAL_KEY.size)));
    for (const key of own) deleteElement(this.#fd, key);
  }

  get vouches(): boolean {
    return this.#vouches;
  }

  /** Run every second. Adds addresses before it vouches, and stops vouching before it removes one. */
  refresh(): void {
    if (this.#cookie === null || this.#isClosed) return;
    this.#checkTranslation();
    const { addresses, isComplete } = this.#ports.readAddresses();
    const keys = new Set<string>();
    for (const address of addresses) {
      const key = this.#keyOf(address);
      if (key !== null) keys.add(key.toString("hex"));
    }
    for (const key of keys) if (!this.#known.has(key)) this.#write(key);
    for (const key of this.#known) if (!keys.has(key)) this.#remove(key);
    this.#setVouching(isComplete && !this.#mayTranslate);
  }

  /** Stops vouching: nobody keeps the list any more. */
  close(): void {
    this.#setVouching(false);
    this.#isClosed = true;
  }

  /** Resolves once it is known whether connections are translated. */
  async checkTranslation(): Promise<void> {
    this.#natCheckedNs = this.#ports.bootNs();
    this.#isChecking = true;
    try {
      this.#mayTranslate = await this.#ports.mayTranslate();
    } finally {
      this.#isChecking = false;
    }
    this.refresh();
  }

  #checkTranslation(): void {
    const checkedNs = this.#natCheckedNs;
    if (this.#isChecking || (checkedNs !== null && this.#ports.bootNs() - checkedNs < NAT_INTERVAL_NS)) return;
    void this.checkTranslation().catch(() => {
      this.#mayTranslate = true;
    });
  }

  #keyOf(address: string): Buffer | null {
    const bytes = addressBytes(address);
    if (bytes === null) return null;
    const key = Buffer.alloc(LOCAL_KEY.size);
    key.writeBigUInt64LE(this.#cookie ?? 0n, LOCAL_KEY.netnsCookie);
    bytes.copy(key, LOCAL_KEY.address);
    return key;
  }

  #write(key: string): void {
    updateElement(this.#fd, Buffer.from(key, "hex"), PRESENT);
    this.#known.add(key);
  }

  #remove(key: string): void {
    deleteElement(this.#fd, Buffer.from(key, "hex"));
    this.#known.delete(key);
  }

  #validUntil(): Buffer {
    const seconds = Buffer.alloc(4);
    seconds.writeUInt32LE(Number(this.#ports.bootNs() / 1_000_000_000n + VALID_SECONDS));
    return seconds;
  }

  #setVouching(vouches: boolean): void {
    if (this.#cookie === null || this.#isClosed) return;
    const marker = Buffer.alloc(LOCAL_KEY.size);
    marker.writeBigUInt64LE(this.#cookie, LOCAL_KEY.netnsCookie);
    if (vouches) updateElement(this.#fd, marker, this.#validUntil());
    else deleteElement(this.#fd, marker);
    this.#vouches = vouches;
  }
}
