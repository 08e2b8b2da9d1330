/**
 * What the rest of the console knows of SSH. Two transports implement it: the built-in client (`built-in/`) and the
 * system's `ssh` (`system/`). Everything that comes from the other end is a stranger's: bounded here, made visible there.
 */
import type { Duplex } from "node:stream";
import type { HostAccess, SshSummary } from "@wardline/api/wardline/console/v1/hosts";
import type { FixedCommand } from "./fixed-command.ts";

/** What is passed while a connection is made: for the steps of a check. */
export type ConnectStep = "configuration" | "name" | "route" | "port" | "host-key" | "authentication";

export interface ConnectOptions {
  readonly hostId: string;
  readonly signal: AbortSignal;
  /** Called as each step begins, and as it ends well with what was found. */
  readonly onStep?: (step: ConnectStep, found: string | null) => void;
  /** False where nobody waits at a screen: then nothing is asked, and what needs an answer fails. */
  readonly isInteractive: boolean;
}

export interface SshConnector {
  /**
   * Connects, checks the machine's key and authenticates.
   *
   * @throws Failure HOST_UNREACHABLE, HOST_KEY_UNKNOWN, HOST_KEY_CHANGED, SSH_AUTHENTICATION_FAILED, CANCELED,
   * INVALID_ARGUMENT (the configuration); a failure about a key is a {@link HostKeyFailure}
   */
  connect(access: HostAccess, options: ConnectOptions): Promise<SshSession>;
}

export interface HostKeyTrust {
  /**
   * Looks at the machine again and writes its key into known_hosts, when it is still the one that the person looked at.
   * Of several on the way it is the first whose key is not known. Returns the file. A key that changed or is revoked is refused: the old line has to go first.
   *
   * @throws Failure HOST_UNREACHABLE, HOST_KEY_CHANGED, CANCELED, PERMISSION_DENIED, DISK_FULL, INVALID_ARGUMENT
   */
  trust(access: HostAccess, fingerprint: string, options: ConnectOptions): Promise<string>;
}

export interface SshSession {
  readonly summary: SshSummary;
  /** Aborts when the connection has ended, with the reason: a `Failure` AGENT_UNREACHABLE or CANCELED. */
  readonly ended: AbortSignal;
  /**
   * A byte stream to a Unix socket on the machine.
   * @throws Failure AGENT_MISSING (nothing listens), PERMISSION_DENIED, HOST_UNSUPPORTED (sshd forbids forwarding)
   */
  openSocket(path: string): Promise<Duplex>;
  /** Runs one of our own commands; whatever belongs to the request travels on its standard input. */
  run(command: FixedCommand, options?: RunOptions): Promise<RunResult>;
  /** Whose a file, directory or socket is; `null` where the machine does not tell. */
  owner(path: string): Promise<RemoteOwner | null>;
  /** Writes a file over SFTP with the given mode, below the home directory of the user or at an absolute path. */
  upload(content: Uint8Array, path: string, options: UploadOptions): Promise<void>;
  close(): void;
}

export interface RemoteOwner {
  /** 0 = root. */
  readonly userId: number;
  /** Permission bits. */
  readonly mode: number;
}

export interface RunOptions {
  readonly input?: Uint8Array;
  /** 30 s unless given. */
  readonly timeoutMs?: number;
  /** Of each of both outputs; 1 MiB unless given. More is a `Failure` TOO_LARGE. */
  readonly maxOutputBytes?: number;
  readonly signal?: AbortSignal;
  /** Lines of standard output as they come. */
  readonly onLine?: (line: string) => void;
}

export interface RunResult {
  /** `null` when a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface UploadOptions {
  /** 0o600 unless given. */
  readonly mode?: number;
  readonly onProgress?: (sentBytes: number) => void;
  readonly signal?: AbortSignal;
}
