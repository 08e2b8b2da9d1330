/**
 * What the agent read and compiled last, so that the next time takes as long as the change is large. It is only ever a
 * short cut: whatever fails is forgotten, and forgetting costs nothing but time.
 */
import {
  type Compiler,
  type CreateSha256,
  createCompiler,
  createPolicyReader,
  type HostProgram,
  type PolicyReader,
  type PolicyWorld,
  type ReadResult,
  type SourceFile,
} from "@wardline/domain/policy";

/** Worlds that are compiled in turn and differ from each other in what a compiler cannot go on from. */
export type WorldKind = "plain" | "present";

export interface Forgetting {
  /** Large policies are forgotten when nobody asked for so long. */
  readonly idleMs: number;
  /** UTF-16 code units of all files together that are remembered however long nobody asks. */
  readonly keptLength: number;
}

/** So much text is about 2,500 rules, which take 17 MB of memory; 100,000 rules take half a gigabyte. */
const FORGETTING: Forgetting = { idleMs: 15 * 60_000, keptLength: 2 ** 18 };

export class EngineMemory {
  readonly #createSha256: CreateSha256;
  readonly #forgetting: Forgetting;
  readonly #compilers = new Map<WorldKind, Compiler>();
  #reader: PolicyReader | null = null;
  #timer: NodeJS.Timeout | null = null;
  #textLength = 0;

  constructor(createSha256: CreateSha256, forgetting: Forgetting = FORGETTING) {
    this.#createSha256 = createSha256;
    this.#forgetting = forgetting;
  }

  /** Whether the next question is answered from scratch. */
  get isEmpty(): boolean {
    return this.#reader === null && this.#compilers.size === 0;
  }

  /** As `readPolicyFiles`. */
  read(files: readonly SourceFile[], options: { readonly errorsOnly?: boolean } = {}): ReadResult {
    this.#textLength = files.reduce((sum, { text }) => sum + text.length, 0);
    return this.#attempt(() => {
      this.#reader ??= createPolicyReader();
      return this.#reader.read(files, options);
    });
  }

  /** As `compile`: the same program, digest included. */
  compile(kind: WorldKind, world: PolicyWorld, hostName: string): HostProgram {
    return this.#attempt(() => {
      const known = this.#compilers.get(kind);
      known?.update(world);
      const compiler = known ?? createCompiler(world, this.#createSha256);
      this.#compilers.set(kind, compiler);
      return compiler.program(hostName);
    });
  }

  forget(): void {
    this.#reader = null;
    this.#compilers.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #attempt<T>(work: () => T): T {
    try {
      const answer = work();
      this.#remindToForget();
      return answer;
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  #remindToForget(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#textLength <= this.#forgetting.keptLength) return;
    this.#timer = setTimeout(() => this.forget(), this.#forgetting.idleMs).unref();
  }
}
