/** The demo's hosts with their ordinary traffic, the real console on them and a browser in front of it. */
import { mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright";
import { writeDemoRecord } from "../fleet/demo/record.ts";
import { prepareWorkspace } from "../fleet/demo/workspace.ts";
import { DEMO_HOSTS, DESK } from "../fleet/demo/world.ts";
import { Fleet } from "../fleet/fleet.ts";
import { CHROMIUM_ARGUMENTS, CHROMIUM_PATH, isComplaint } from "../harness.ts";
import { ConsolePage } from "../pages/console.ts";
import { PROGRAM, Program } from "../processes.ts";

const ATTACK_SCRIPT = fileURLToPath(new URL("../../../scripts/demo-attack.mjs", import.meta.url));
/** What is there when an agent begins to watch is taken for usual, and is no beacon. */
const WATCHED_FIRST_MS = 18_000;
const ACTION_LIMIT_MS = 40_000;
/** Long: the tests share two processors with everything else. */
const START_LIMIT_MS = 120_000;

export class DemoLab {
  static readonly attackScript = ATTACK_SCRIPT;
  readonly fleet: Fleet;
  ui!: ConsolePage;
  page!: Page;
  readonly complaints: string[] = [];
  readonly #programs: Program[] = [];
  readonly #startedAtMs = performance.now();
  #browser: Browser | null = null;
  #context: BrowserContext | null = null;

  private constructor(fleet: Fleet) {
    this.fleet = fleet;
  }

  static async start(): Promise<DemoLab> {
    const lab = new DemoLab(await Fleet.start({ hosts: DEMO_HOSTS, hasOutside: true }));
    try {
      await prepareWorkspace(lab.fleet, lab.stateDir, lab.fleet.host(DESK).agentSocket);
      writeDemoRecord(lab.fleet);
      await lab.#open(await lab.#startConsole());
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  get stateDir(): string {
    return join(this.fleet.directory, "console", "state");
  }

  #environment(): string[] {
    return [`HOME=${this.fleet.home.directory}`, "SSH_AUTH_SOCK="];
  }

  /** @returns its address with the token */
  async #startConsole(): Promise<string> {
    const session = ["--state-dir", this.stateDir, "--agent-socket", this.fleet.host(DESK).agentSocket];
    const words = ["start", "--no-open", "--format", "json", ...session];
    const started = this.#start("console", "env", [...this.#environment(), PROGRAM, ...words]);
    await started.waitFor("\n", START_LIMIT_MS);
    return String((JSON.parse(started.stdout) as { url: unknown }).url);
  }

  async #open(url: string): Promise<void> {
    this.#browser = await chromium.launch({ executablePath: CHROMIUM_PATH, args: CHROMIUM_ARGUMENTS });
    this.#context = await this.#browser.newContext({
      viewport: { width: 1440, height: 900 },
      colorScheme: "dark",
      reducedMotion: "reduce",
    });
    this.#context.setDefaultTimeout(ACTION_LIMIT_MS);
    this.page = await this.#context.newPage();
    this.page.on("pageerror", (error) => this.complaints.push(error.message));
    this.page.on("console", (message) => {
      if (isComplaint(message)) this.complaints.push(message.text());
    });
    await this.page.goto(url);
    await this.page.getByRole("navigation", { name: "Views" }).waitFor();
    this.ui = new ConsolePage(this.page);
  }

  #start(name: string, command: string, args: readonly string[]): Program {
    mkdirSync(this.stateDir, { recursive: true });
    const program = new Program({ name, command, args, cwd: this.fleet.directory });
    this.#programs.push(program);
    return program;
  }

  /** Resolves when the agents have watched the ordinary traffic for long enough to tell what is new. */
  async hasWatched(): Promise<void> {
    await setTimeout(Math.max(0, this.#startedAtMs + WATCHED_FIRST_MS - performance.now()));
  }

  /** As a person types it; it goes on by itself. */
  attack(...words: readonly string[]): Program {
    const place = ["--place", basename(this.fleet.directory)];
    return this.#start("attack", process.execPath, [ATTACK_SCRIPT, ...words, ...place]);
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    for (const program of this.#programs.toReversed()) await program.stop();
    await this.fleet.close();
  }
}
