/** What hosts are to enforce: the workspace as it is, or a version of it that was kept. */
import { createHash } from "node:crypto";
import {
  type Compiler,
  createCompiler,
  createPolicyReader,
  type HostProgram,
  type PolicyWorld,
  type ReadResult,
  withoutExpired,
} from "@wardline/domain/policy";
import type { Clock } from "../ports.ts";
import type { VersionsTable } from "../store/versions-table.ts";

export interface PolicyText {
  readonly path: string;
  readonly text: string;
}

export interface DesiredState {
  /** 64 hex digits: the id of the version with this content. */
  readonly stateDigest: string;
  /** Sorted by path. */
  readonly files: readonly PolicyText[];
  readonly reading: ReadResult;
}

/** Kept at a time besides the planned one: fleets enforce few different states, and each costs as much as its policies. */
const MAX_OTHER_STATES = 3;

interface KeptState {
  readonly state: DesiredState;
  world: PolicyWorld;
  readonly compiler: Compiler;
}

/** Programs of hosts under different states. What one host's compilation made is shared with the next. */
export class HostPrograms {
  readonly versions: VersionsTable;
  readonly #clock: Clock;
  readonly #reader = createPolicyReader();
  /** Goes on from one plan to the next, which differ by little. */
  #planned: KeptState | null = null;
  /** What hosts enforce. Least recently used first. */
  readonly #others = new Map<string, KeptState>();

  constructor(versions: VersionsTable, clock: Clock) {
    this.versions = versions;
    this.#clock = clock;
  }

  /** The program of a host under a state without errors, expired policies left out. @throws Failure as the compiler */
  planned(state: DesiredState, hostName: string): HostProgram {
    const before = this.#planned;
    if (before?.state === state) return this.#program(before, hostName);
    const world = withoutExpired(state.reading.world, this.#clock.nowMs());
    const compiler = before?.compiler ?? createCompiler(world, () => createHash("sha256"));
    compiler.update(world);
    this.#planned = { state, world, compiler };
    return this.#program(this.#planned, hostName);
  }

  /** The same for a state that is enforced somewhere, and not planned now. */
  enforced(state: DesiredState, hostName: string): HostProgram {
    const { stateDigest } = state;
    let kept = this.#others.get(stateDigest);
    // What a host says of its state is not believed to be what is kept here under that digest.
    if (kept && kept.state !== state && !isSame(kept.state.files, state.files)) kept = undefined;
    this.#others.delete(stateDigest);
    kept ??= this.#begin(state);
    this.#others.set(stateDigest, kept);
    return this.#program(kept, hostName);
  }

  /** A kept version; `null` when there is none with that digest. */
  version(stateDigest: string): DesiredState | null {
    const kept = this.#others.get(stateDigest)?.state;
    if (kept) return kept;
    if (!this.versions.find(stateDigest)) return null;
    return this.read(stateDigest, this.versions.files(stateDigest));
  }

  /** Texts that a host says it enforces. */
  read(stateDigest: string, files: readonly PolicyText[]): DesiredState {
    return { stateDigest, files, reading: this.#reader.read(files) };
  }

  #program(kept: KeptState, hostName: string): HostProgram {
    const world = withoutExpired(kept.state.reading.world, this.#clock.nowMs());
    if (world.policies.length !== kept.world.policies.length) {
      kept.compiler.update(world);
      kept.world = world;
    }
    return kept.compiler.program(hostName);
  }

  /** Goes on with the compiler that was used last longest ago, where that is one too many. */
  #begin(state: DesiredState): KeptState {
    const world = withoutExpired(state.reading.world, this.#clock.nowMs());
    const [oldest] = this.#others.size >= MAX_OTHER_STATES ? this.#others : [];
    if (!oldest) return { state, world, compiler: createCompiler(world, () => createHash("sha256")) };
    const [digest, { compiler }] = oldest;
    compiler.update(world);
    this.#others.delete(digest);
    return { state, world, compiler };
  }
}

function isSame(some: readonly PolicyText[], others: readonly PolicyText[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ path, text }, position) => path === others[position]?.path && text === others[position]?.text)
  );
}
