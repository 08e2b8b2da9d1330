/**
 * What runs of the cluster on this host, from the files on its disk. One of three:
 *
 *     alone     no configuration: the embedded store, opened at its first use, which this host leads
 *     member    a configuration: its store, its identity, the peer service
 *     down      a configuration or an identity that cannot be used, or the agent ends: nothing runs, and the status says why
 *
 * What the host enforces depends on none of this.
 */
import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  type ClusterStatus,
  MemberRecordSchema,
  type StoreConfiguration,
  StoreConfigurationSchema,
  StoreKind,
} from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { toTimestamp } from "../../agent/clock.ts";
import { makeDirectory } from "../../files/directory.ts";
import { Mutex } from "../../generations/mutex.ts";
import { sentenceOf, waitFor } from "../leadership/waiting.ts";
import { encode } from "./clusterRecord.ts";
import { ConfigurationFile, type NodeConfiguration } from "./configFile.ts";
import type { Links } from "./links.ts";
import { KEYS, type NodePorts, USUAL_LEASE_MS } from "./nodePorts.ts";
import { Notice } from "./notice.ts";
import { embeddedPath, openStore, type StoreContext } from "./stores.ts";
import { Working } from "./working.ts";

export interface LifePorts extends NodePorts {
  readonly openLinks: (configuration: NodeConfiguration, life: NodeLife) => Promise<Links>;
  /** Called with each member's parts once they run; what it returns is called before they end. */
  readonly onMember: (working: Working, configuration: NodeConfiguration) => () => Promise<void>;
  readonly status: () => Promise<ClusterStatus>;
  readonly moveTo: (store: StoreConfiguration) => Promise<void>;
}

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;
const EMBEDDED = create(StoreConfigurationSchema, { kind: StoreKind.EMBEDDED });

export class NodeLife {
  readonly ports: LifePorts;
  readonly directory: string;
  readonly file: ConfigurationFile;
  readonly notice: Notice;
  /** Changes of membership and store, one after the other. */
  readonly changes = new Mutex();
  readonly #listeners = new Set<() => void>();
  #working: Working | null = null;
  #stopWatching: () => Promise<void> = async () => {};
  #unsubscribe: () => void = () => {};
  #configuration: NodeConfiguration | null = null;
  #problem: string | null = null;
  #retrying = new AbortController();
  #isClosed = false;

  constructor(ports: LifePorts) {
    this.ports = ports;
    this.directory = join(ports.stateDir, "cluster");
    this.file = new ConfigurationFile(this.directory);
    this.notice = new Notice(this.directory);
  }

  /** `null` = nothing runs. */
  get working(): Working | null {
    return this.#working;
  }

  /** `null` = this host is in no cluster, or its configuration is damaged. */
  get configuration(): NodeConfiguration | null {
    return this.#configuration;
  }

  /** Sentences. */
  get problems(): readonly string[] {
    return [this.#problem, this.#configuration === null ? this.notice.read() : null].filter((each) => each !== null);
  }

  /** True without a cluster and without anything in the way of one. */
  get isAlone(): boolean {
    return this.#configuration === null && this.#problem === null;
  }

  get context(): StoreContext {
    const { clock, log } = this.ports;
    return { directory: this.directory, clock, log };
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads the disk and begins what it says. Never rejects, and does not wait for the store. */
  start(): Promise<void> {
    return this.changes.run(async () => {
      const read = await this.file.read();
      if (read.kind === "damaged") this.#fail(read.problem);
      if (read.kind === "read") await this.#tryMember(read.configuration);
      if (read.kind === "absent" && existsSync(embeddedPath(this.directory))) await this.#tryAlone();
    });
  }

  /** Presence STOPPED, a held term resigned; bounded in time. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retrying.abort();
    await this.changes.run(() => this.shut());
    this.#listeners.clear();
  }

  /** What runs; for a host that is alone the embedded store is opened first. Throws `Failure`. */
  async need(): Promise<Working> {
    if (this.#working) return this.#working;
    return this.changes.run(async () => {
      if (this.#working) return this.#working;
      if (this.isAlone && !this.#isClosed) return this.openAlone();
      throw this.unavailable();
    });
  }

  unavailable(): Failure {
    return new Failure({
      code: ErrorCode.STORE_UNAVAILABLE,
      message: this.#problem ?? "The cluster's part of this agent does not run.",
      hint: "What the host enforces does not change.",
      retryable: true,
    });
  }

  /** Within {@link changes}. Throws `Failure` STORE_UNAVAILABLE. */
  async openAlone(): Promise<Working> {
    const store = await openStore(EMBEDDED, this.context, null);
    const { hostName, clock } = this.ports;
    const record = create(MemberRecordSchema, {
      name: hostName,
      candidate: true,
      admittedAt: toTimestamp(clock.wallMs()),
    });
    const key = KEYS.member(hostName);
    await store.transact({
      compare: [{ key, target: "create", operator: "=", number: 0n }],
      then: [{ kind: "put", key, value: encode(MemberRecordSchema, record) }],
    });
    const { context } = this;
    const plan = { ports: this.ports, context, store, configuration: EMBEDDED, leaseMs: USUAL_LEASE_MS };
    return this.#begin(new Working({ ...plan, candidate: true, links: null }, this.ports));
  }

  /** Within {@link changes}. Throws `Failure`; then nothing runs. */
  async openMember(configuration: NodeConfiguration): Promise<Working> {
    this.#configuration = configuration;
    const links = await this.ports.openLinks(configuration, this);
    try {
      const { store: where, leaseMs, candidate } = configuration;
      const store = await openStore(where, this.context, links.identity);
      const { context } = this;
      const plan = { ports: this.ports, context, store, configuration: where, leaseMs, candidate, links };
      const working = await this.#begin(new Working(plan, this.ports));
      this.#stopWatching = this.ports.onMember(working, configuration);
      return working;
    } catch (error) {
      await links.close();
      throw error;
    }
  }

  /** Within {@link changes}: ends what runs, the store included. What is enforced stays. */
  async shut(
    end: "resigned" | "removed" = "resigned",
    beforeClosing?: (working: Working) => Promise<void>,
  ): Promise<void> {
    this.#retrying.abort();
    this.#retrying = new AbortController();
    const working = this.#working;
    if (working === null) return;
    this.#working = null;
    this.#unsubscribe();
    await this.#stopWatching();
    this.#stopWatching = async () => {};
    await working.parts.stop(end);
    try {
      await beforeClosing?.(working);
    } finally {
      await working.parts.close();
      this.#changed();
    }
  }

  /** Within {@link changes}: what runs is made anew from the disk. Never rejects. */
  async reopen(): Promise<void> {
    await this.shut();
    this.#configuration = null;
    this.#problem = null;
    const read = await this.file.read();
    if (read.kind === "damaged") this.#fail(read.problem);
    if (read.kind === "read") await this.#tryMember(read.configuration);
    if (read.kind === "absent" && existsSync(embeddedPath(this.directory))) await this.#tryAlone();
    this.#changed();
  }

  /** Within {@link changes}, while nothing runs: the embedded store is put aside, where one such file is kept. */
  async putEmbeddedAside(): Promise<void> {
    const path = embeddedPath(this.directory);
    for (const suffix of ["", "-wal", "-shm"]) {
      if (existsSync(path + suffix)) await rename(path + suffix, join(this.directory, `store.before.sqlite${suffix}`));
    }
  }

  /** A part of the configuration that the cluster changed, or that was learned. */
  async remember(configuration: NodeConfiguration): Promise<void> {
    makeDirectory(this.directory, 0o700);
    await this.file.write(configuration);
    this.#configuration = configuration;
  }

  async #begin(working: Working): Promise<Working> {
    await working.start();
    this.#working = working;
    this.#problem = null;
    this.#unsubscribe = working.parts.onChange(() => this.#changed());
    this.#changed();
    return working;
  }

  async #tryAlone(): Promise<void> {
    try {
      await this.openAlone();
    } catch (error) {
      this.#fail(`The embedded store cannot be opened: ${sentenceOf(error)}`);
    }
  }

  async #tryMember(configuration: NodeConfiguration): Promise<void> {
    try {
      await this.openMember(configuration);
    } catch (error) {
      this.#fail(`This host's part in the cluster ${configuration.clusterName} does not run: ${sentenceOf(error)}`);
      void this.#tryAgain(configuration);
    }
  }

  /** For as long as nothing else was begun. */
  async #tryAgain(configuration: NodeConfiguration): Promise<void> {
    const { clock } = this.ports;
    const { signal } = this.#retrying;
    for (let delayMs = FIRST_RETRY_MS; !signal.aborted; delayMs = Math.min(delayMs * 2, LONGEST_RETRY_MS)) {
      await waitFor(clock, delayMs, signal);
      await this.changes.run(async () => {
        if (signal.aborted || this.#working) return;
        await this.openMember(configuration).catch((error: unknown) => {
          this.#fail(`This host's part in the cluster ${configuration.clusterName} does not run: ${sentenceOf(error)}`);
        });
      });
      if (this.#working) return;
    }
  }

  #fail(problem: string): void {
    if (this.#problem !== problem) this.ports.log.error({ problem }, "the cluster");
    this.#problem = problem;
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
