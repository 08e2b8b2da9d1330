/**
 * Yggdrasil through the admin socket of its daemon. Whatever comes from there, the report is one of: a mesh that is up, or a state
 * with a sentence why. Nothing is guessed: a daemon that cannot be understood has no peers rather than zero.
 */
import { existsSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import {
  MeshIdentitySchema,
  MeshProvider,
  type MeshProviderReport,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { interfaceNameProblem, parsePeerUri, shownUri, yggdrasilAddress, yggdrasilSubnet } from "@wardline/domain/mesh";
import { TcpConnections, type TcpTable } from "../../../linux/network/tcpConnections.ts";
import type { YggdrasilOptions } from "../../meshOptions.ts";
import type { MeshProviderAdapter, PeerAddress } from "../../ports.ts";
import type { ServiceManager } from "../../serviceManager.ts";
import { type AdminEndpoint, AdminError, endpointText } from "./adminSocket.ts";
import { ConfigFile, type ConfigReading } from "./configFile.ts";
import { Daemon, type DaemonAnswer } from "./daemon.ts";
import { isSame, PeerRecords } from "./peerRecords.ts";
import { readAdminListen, SOCKET_PLACES, USUAL_UNIT } from "./places.ts";
import type { PeerReply } from "./replies.ts";
import { capabilitiesOf, MAX_PEERS, MAX_ROUTES, missingPeer, shownPeers, shownRoutes, shownTree } from "./report.ts";
import { SilentLines } from "./silentLines.ts";
import { refusedEdit, type Trouble, troubleOf } from "./troubles.ts";

export interface YggdrasilPorts {
  readonly options: YggdrasilOptions;
  /** `<stateDir>/mesh`: which peers were added here. */
  readonly directory: string;
  readonly services: ServiceManager;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Of the kernel; that of this host unless given. */
  readonly connections?: () => TcpTable;
}

/** Of one look at the daemon, whatever it does. */
const READ_LIMIT_MS = 1_500;
const EDIT_LIMIT_MS = 5_000;
/** How often the kernel is asked whether connections carry something: microseconds for each. */
const LINES_EVERY_MS = 250;
const CARRIES_NOTHING = "Nothing that is sent over its connection arrives: it was sent again and again.";

interface Place {
  readonly reading: ConfigReading;
  readonly endpoint: AdminEndpoint | null;
  /** Why there is no endpoint. */
  readonly trouble: Trouble | null;
}

export class YggdrasilAdapter implements MeshProviderAdapter {
  readonly provider = MeshProvider.YGGDRASIL;
  readonly #ports: YggdrasilPorts;
  readonly #config: ConfigFile;
  readonly #records: PeerRecords;
  readonly #daemon: Daemon;
  #last: DaemonAnswer | null = null;
  #state = MeshProviderState.ABSENT;
  #hasUnit: boolean | null = null;
  readonly #lines: SilentLines;
  readonly #watchers = new Set<() => void>();
  readonly #watching: NodeJS.Timeout;

  constructor(ports: YggdrasilPorts) {
    this.#ports = ports;
    this.#lines = new SilentLines(ports.connections ?? (() => new TcpConnections()), ports.nowMs);
    this.#watching = setInterval(() => {
      if (this.#lines.look()) for (const watcher of this.#watchers) watcher();
    }, LINES_EVERY_MS).unref();
    this.#config = new ConfigFile(ports.options.configPath);
    this.#records = new PeerRecords(ports.directory, ports.nowMs);
    this.#daemon = new Daemon(ports.nowMs);
  }

  async read(signal: AbortSignal): Promise<MeshProviderReport> {
    const report = await this.#look(signal).catch((error: unknown) => {
      const detail = `It could not be looked at: ${error instanceof Error ? error.message.slice(0, 200) : "no reason"}.`;
      return create(MeshProviderReportSchema, {
        provider: this.provider,
        state: MeshProviderState.UNSUPPORTED,
        detail,
      });
    });
    this.#state = report.state;
    return report;
  }

  async #look(signal: AbortSignal): Promise<MeshProviderReport> {
    const within = AbortSignal.any([signal, AbortSignal.timeout(READ_LIMIT_MS)]);
    const place = await this.#place();
    const canRestart = await this.#canRestart();
    const { endpoint } = place;
    const report = endpoint === null ? null : await this.#ask(endpoint, place, canRestart, within);
    return report ?? this.#troubled(place.trouble!, place, canRestart);
  }

  async addPeer(given: PeerAddress, signal: AbortSignal): Promise<void> {
    // As it is shown, a peer lacks what the daemon needs of it; what was given with a query is meant so.
    const isShown = given.uri === shownUri(given.uri);
    const peer = isShown ? ((await this.configuredPeer(given.uri, given.interfaceName)) ?? given) : given;
    await this.#edit("addpeer", peer, signal);
    const isConfigured = (await this.#configured()).some((each) => isSame(each, peer));
    if (isConfigured) await this.#records.noteRestored(peer);
    else await this.#records.noteAdded(peer);
  }

  async removePeer(peer: PeerAddress, signal: AbortSignal): Promise<void> {
    const known = (await this.configuredPeer(shownUri(peer.uri), peer.interfaceName)) ?? peer;
    const isConfigured = (await this.#configured()).some((each) => isSame(each, known));
    await this.#edit("removepeer", known, signal);
    if (isConfigured && this.#holdsOn()) {
      // It forgets the peer, and keeps a link that is up: it closes those only that were added while it runs.
      await this.#edit("addpeer", known, signal);
      await this.#edit("removepeer", known, signal);
      return;
    }
    await this.#records.noteRemoved(known, isConfigured);
  }

  onNews(watcher: () => void): void {
    this.#watchers.add(watcher);
  }

  async close(): Promise<void> {
    clearInterval(this.#watching);
    this.#lines.close();
    await this.#records.settled();
  }

  async removalProblem(shown: string): Promise<string> {
    const reading = await this.#config.current();
    if (reading.kind !== "read" || !this.#holdsOn()) return "";
    const isConfigured = reading.config.peers.some(({ uri }) => shownUri(uri) === shown);
    if (!isConfigured) return "";
    return `This Yggdrasil does not let go of a peer of its configuration (${reading.config.path}) while it runs.`;
  }

  /** Until 0.4.7 a link to a peer of the configuration stays, and is dialled anew when it breaks, whatever the daemon is told. */
  #holdsOn(): boolean {
    return this.#last !== null && this.#last.abilities.generation !== "0.5";
  }

  async restartDaemon(signal: AbortSignal): Promise<void> {
    await this.#ports.services.restart(this.#unit(), this.#state === MeshProviderState.UNRESPONSIVE, signal);
  }

  /** The peer as the daemon was given it, with what is not shown; `null` = none of that shown URI is known. */
  async configuredPeer(shown: string, interfaceName = ""): Promise<PeerAddress | null> {
    const all = [...this.#records.added(), ...(await this.#configured())].filter(({ uri }) => shownUri(uri) === shown);
    return all.find((peer) => peer.interfaceName === interfaceName) ?? (interfaceName === "" ? (all[0] ?? null) : null);
  }

  /** Waits for the service manager once: one that is slow must not make the mesh look slow. */
  async #canRestart(): Promise<boolean> {
    const looking = this.#ports.services.hasUnit(this.#unit()).then(
      (has) => {
        this.#hasUnit = has;
      },
      () => {},
    );
    if (this.#hasUnit === null) await looking;
    return this.#hasUnit ?? false;
  }

  #unit(): string {
    return this.#ports.options.unit ?? USUAL_UNIT;
  }

  async #configured(): Promise<readonly PeerAddress[]> {
    const reading = await this.#config.current();
    return reading.kind === "read" ? reading.config.peers : [];
  }

  /** Whom the daemon should have, as far as it can be known. */
  #expected(reading: ConfigReading): readonly PeerAddress[] {
    const removed = this.#records.removed();
    const configured = reading.kind === "read" ? reading.config.peers : [];
    const kept = configured.filter((peer) => !removed.some((each) => isSame(each, peer)));
    return [...kept, ...this.#records.added().filter((peer) => !kept.some((each) => isSame(each, peer)))];
  }

  async #place(): Promise<Place> {
    const { socket } = this.#ports.options;
    const reading = await this.#config.current();
    const said = socket ?? (reading.kind === "read" ? reading.config.adminListen : null);
    if (said !== null) {
      const listen = readAdminListen(said);
      if (listen.kind === "at") return { reading, endpoint: listen.endpoint, trouble: null };
      const sentence =
        listen.kind === "off"
          ? "Its admin socket is turned off (AdminListen in its configuration): what it does cannot be seen."
          : `Its admin socket cannot be used: ${listen.problem}.`;
      return { reading, endpoint: null, trouble: { state: MeshProviderState.UNSUPPORTED, sentence } };
    }
    const found = SOCKET_PLACES.find((path) => existsSync(path));
    if (found !== undefined) return { reading, endpoint: { kind: "unix", path: found }, trouble: null };
    return { reading, endpoint: null, trouble: this.#nowhere(reading) };
  }

  #nowhere(reading: ConfigReading): Trouble {
    const { configPath, unit } = this.#ports.options;
    if (reading.kind === "absent" && configPath === null && unit === null) {
      return { state: MeshProviderState.ABSENT, sentence: "No Yggdrasil was found on this host." };
    }
    const where = reading.kind === "absent" ? "There is no configuration of it and" : "It is configured, and";
    const sentence = `${where} no admin socket is in the known places: it does not run.`;
    return { state: MeshProviderState.DOWN, sentence };
  }

  /** `null` = the trouble is told by the caller's report. */
  async #ask(endpoint: AdminEndpoint, place: Place, canRestart: boolean, signal: AbortSignal) {
    try {
      const answer = await this.#answer(endpoint, signal);
      if (answer.isNew) await this.#remind(endpoint, answer, place.reading, signal);
      this.#last = answer;
      this.#lines.follow(answer.peers.flatMap(({ up, remote }) => (up && remote !== "" ? [remote] : [])));
      return this.#up(
        { ...answer, peers: answer.peers.map((peer) => this.#asCarried(peer)) },
        place.reading,
        canRestart,
      );
    } catch (error) {
      if (!(error instanceof AdminError)) throw error;
      return this.#troubled(troubleOf(error, endpointText(endpoint)), place, canRestart);
    }
  }

  /** A daemon that ends while it answers looks as one that answers nonsense: it is asked once more before that is believed. */
  async #answer(endpoint: AdminEndpoint, signal: AbortSignal): Promise<DaemonAnswer> {
    try {
      return await this.#daemon.read(endpoint, signal);
    } catch (error) {
      if (!(error instanceof AdminError) || error.problem !== "cut") throw error;
      return this.#daemon.read(endpoint, signal);
    }
  }

  /** A daemon that started anew knows its configuration and nothing of what was said here. What it knows already, it refuses. */
  async #remind(endpoint: AdminEndpoint, { abilities }: DaemonAnswer, reading: ConfigReading, signal: AbortSignal) {
    const tell = async (command: string, peers: readonly PeerAddress[]) => {
      if (!abilities.commands.has(command)) return;
      for (const peer of peers) {
        await this.#daemon.tell(endpoint, abilities, command, valuesOf(peer), signal).catch((error: unknown) => {
          if (!(error instanceof AdminError)) throw error;
        });
      }
    };
    await tell("addpeer", this.#records.added());
    const configured = reading.kind === "read" ? reading.config.peers : [];
    await tell(
      "removepeer",
      configured.filter((peer) => this.#records.removed().some((each) => isSame(each, peer))),
    );
  }

  /** What the daemon calls up and carries nothing is down: it says so itself some seconds later. */
  #asCarried(peer: PeerReply): PeerReply {
    return peer.up && this.#lines.isSilent(peer.remote) ? { ...peer, up: false, lastError: CARRIES_NOTHING } : peer;
  }

  #up(answer: DaemonAnswer, reading: ConfigReading, canRestart: boolean): MeshProviderReport {
    const { abilities, self, tun, paths, tree } = answer;
    const expected = this.#expected(reading);
    const { peers, truncated, keys } = shownPeers(answer.peers, expected, (shown) => this.#records.keyOf(shown));
    this.#records.noteKeys(self.key, keys);
    const report = create(MeshProviderReportSchema, {
      ...{ provider: this.provider, state: MeshProviderState.UP, detail: configDetail(reading) },
      ...{ version: self.version, generation: abilities.generation, interfaceName: tun.name },
      capabilities: capabilitiesOf(abilities, answer.peers, canRestart),
      self: identityOf(self.key),
      ...{ peers: [...peers], routes: [...shownRoutes(paths, answer.peers)], tree: [...shownTree(tree)] },
      truncated: truncated || answer.peers.length > MAX_PEERS || paths.length > MAX_ROUTES || tree.length > MAX_ROUTES,
    });
    if (tun.mtuBytes !== null && tun.mtuBytes < 2 ** 32) report.mtuBytes = tun.mtuBytes;
    return report;
  }

  /** Who it is stays known. Of a daemon that is down, so are its peers: it has none of those that it should have. */
  #troubled({ state, sentence, neverRestart }: Trouble, { reading }: Place, canRestart: boolean): MeshProviderReport {
    const key = this.#last?.self.key ?? this.#records.selfKey();
    const isAbsent = state === MeshProviderState.ABSENT;
    const expected = state === MeshProviderState.DOWN ? this.#expected(reading) : [];
    const peers = new Map(expected.map((peer) => [shownUri(peer.uri), peer]));
    return create(MeshProviderReportSchema, {
      ...{ provider: this.provider, state, detail: sentence },
      version: this.#last?.self.version ?? "",
      generation: this.#last?.abilities.generation ?? "",
      capabilities: canRestart && neverRestart !== true && canHelp(state) ? ["restart"] : [],
      ...(key === "" || isAbsent ? {} : { self: identityOf(key) }),
      interfaceName: this.#last?.tun.name ?? "",
      peers: [...peers].slice(0, MAX_PEERS).map(([uri, peer]) => missingPeer(uri, peer, this.#records.keyOf(uri))),
      truncated: peers.size > MAX_PEERS,
    });
  }

  async #edit(command: "addpeer" | "removepeer", peer: PeerAddress, signal: AbortSignal): Promise<void> {
    const problem = editProblem(peer);
    if (problem !== "") throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: problem });
    const within = AbortSignal.any([signal, AbortSignal.timeout(EDIT_LIMIT_MS)]);
    const { endpoint, trouble } = await this.#place();
    if (endpoint === null) throw refusedEdit(trouble!.state, trouble!.sentence);
    try {
      const abilities = await this.#daemon.abilities(endpoint, within);
      if (!abilities.commands.has(command)) {
        const message = `This Yggdrasil (it speaks as ${abilities.generation}) cannot change its peers while it runs.`;
        throw new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message, hint: "Change its configuration." });
      }
      await this.#daemon.tell(endpoint, abilities, command, valuesOf(peer), within);
    } catch (error) {
      if (!(error instanceof AdminError)) throw error;
      throw troubleOf(error, endpointText(endpoint)).failure;
    }
  }
}

function editProblem({ uri, interfaceName }: PeerAddress): string {
  const parsed = parsePeerUri(uri);
  return parsed.ok ? interfaceNameProblem(interfaceName) : parsed.problem;
}

function valuesOf({ uri, interfaceName }: PeerAddress): Readonly<Record<string, string>> {
  return interfaceName === "" ? { uri } : { uri, interface: interfaceName };
}

function identityOf(key: string) {
  return create(MeshIdentitySchema, { key, address: yggdrasilAddress(key)!, subnet: yggdrasilSubnet(key)! });
}

function configDetail(reading: ConfigReading): string {
  if (reading.kind !== "unreadable") return "";
  return `Its configuration ${reading.path} is of no use (${reading.problem}): of its peers only those are known that it lists.`;
}

/** Of what is not understood it is not even known that it is ill. */
function canHelp(state: MeshProviderState): boolean {
  return state === MeshProviderState.DOWN || state === MeshProviderState.UNRESPONSIVE;
}
