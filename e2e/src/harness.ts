/**
 * The whole system for one test file: a lab with two network namespaces, the real agent in the guarded one, the real
 * console command, and Debian's Chromium in front of it.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { KernelLab, kernelLabProblem, readBpfObject } from "@wardline/helper/testing/kernelLab";
import type { SocketPeer } from "@wardline/helper/testing/socketPeer";
import { type Browser, type BrowserContext, type ConsoleMessage, chromium, type Page } from "playwright";
import type { TestContext } from "vitest";
import { type CommandResult, PROGRAM, Program, runWardline } from "./processes.ts";

export const CHROMIUM_PATH = "/usr/bin/chromium";
export const CHROMIUM_ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const RENDERER_INDEX = fileURLToPath(new URL("../../renderer/dist/index.html", import.meta.url));
const RESULTS_DIR = fileURLToPath(new URL("../../test-results", import.meta.url));
/** How long a click may wait for its target: long, because the tests share few processors with everything else. */
const ACTION_LIMIT_MS = 40_000;
/** For a step, and for starting and ending the whole system. */
export const STEP_LIMIT_MS = 180_000;

/** Why the whole system cannot run here, or `null`. For `describe.skipIf`; put it into the name. */
export function systemProblem(): string | null {
  const problem = kernelLabProblem();
  if (problem !== null) return problem;
  if (!existsSync(CHROMIUM_PATH)) return `needs ${CHROMIUM_PATH}`;
  return existsSync(RENDERER_INDEX) ? null : "needs the console's bundle in renderer/dist";
}

/** For the name of a suite that is skipped. */
export const skipReason = (problem: string | null): string => (problem === null ? "" : ` (skipped: ${problem})`);

/** What the page says of itself. Other tests give this machine interfaces: Chromium gives up what it loads then, and says so. */
export const isComplaint = (message: ConsoleMessage): boolean =>
  message.type() === "error" && !message.text().includes("ERR_NETWORK_CHANGED");

export type Theme = "dark" | "light" | "contrast";

export interface SystemOptions {
  readonly hostName?: string;
  /** TCP ports on which the peer answers. */
  readonly peerPorts?: readonly number[];
  /** TCP ports on which the guarded host answers. */
  readonly hostPorts?: readonly number[];
  /** More arguments of `agent run`. */
  readonly agentArguments?: readonly string[];
  /** Where the agent keeps its records; in the lab's directory unless given. */
  readonly agentStateDir?: string;
  /** `false`: command line only, no console and no browser. */
  readonly hasConsole?: boolean;
}

/** Answers of the peer on these ports are what "passes" means in the tests. */
export const DEFAULT_PEER_PORTS = [5432, 8080] as const;

export class System {
  readonly lab: KernelLab;
  readonly options: SystemOptions;
  /** Opens sockets in the guarded namespace and cgroup. */
  host!: SocketPeer;
  /** Opens sockets on the other side. */
  peer!: SocketPeer;
  agent!: Program;
  console!: Program;
  browser!: Browser;
  context!: BrowserContext;
  page!: Page;
  /** What the page's own console complained of: errors, and what its security policy refused. */
  readonly complaints: string[] = [];
  readonly #programs: Program[] = [];
  #failedTask: string | null = null;
  #openedConsole: Program | null = null;

  private constructor(lab: KernelLab, options: SystemOptions) {
    this.lab = lab;
    this.options = options;
  }

  /** Everything started and the console open in the browser. */
  static async start(options: SystemOptions = {}): Promise<System> {
    readBpfObject();
    const system = new System(new KernelLab(), options);
    try {
      system.host = await system.lab.startSocketPeer("host");
      system.peer = await system.lab.startSocketPeer("peer");
      for (const port of options.peerPorts ?? DEFAULT_PEER_PORTS) await system.peer.listenTcp(port);
      for (const port of options.hostPorts ?? []) await system.host.listenTcp(port);
      await system.startAgent();
      if (options.hasConsole === false) return system;
      await system.startConsole();
      system.browser = await chromium.launch({ executablePath: CHROMIUM_PATH, args: CHROMIUM_ARGUMENTS });
      await system.openPage();
      return system;
    } catch (error) {
      await system.close();
      throw error;
    }
  }

  get hostName(): string {
    return this.options.hostName ?? "web-1";
  }

  get agentSocket(): string {
    return join(this.lab.directory, "run", "agent.sock");
  }

  get stateDir(): string {
    return join(this.lab.directory, "console");
  }

  get agentStateDir(): string {
    return this.options.agentStateDir ?? join(this.lab.directory, "agent");
  }

  /** Arguments by which a command of this test finds its own console and agent. */
  get sessionArguments(): string[] {
    return ["--state-dir", this.stateDir, "--agent-socket", this.agentSocket];
  }

  /** Starts the agent in the guarded namespace and waits until it answers. */
  async startAgent(): Promise<void> {
    mkdirSync(join(this.lab.directory, "run"), { recursive: true });
    this.agent = this.#start(`agent-${this.#programs.length}`, "nsenter", [
      `--net=${this.lab.hostNamespace}`,
      PROGRAM,
      ...["agent", "run", "--host-name", this.hostName],
      ...["--socket", this.agentSocket, "--state-dir", this.agentStateDir],
      ...["--bpffs-dir", this.lab.bpffsDir, "--cgroup-root", this.lab.cgroupRoot],
      ...(this.options.agentArguments ?? []),
    ]);
    await this.agent.waitFor('"ready":true');
  }

  /** Starts the console on the agent that runs. @returns the address with its one-time token */
  async startConsole(port = 0): Promise<string> {
    this.console = this.#start(`console-${this.#programs.length}`, PROGRAM, [
      ...["start", "--no-open", "--format", "json", "--listen-port", String(port)],
      ...this.sessionArguments,
    ]);
    await this.console.waitFor("\n");
    return this.url;
  }

  /** Of the console that runs, with its one-time token. */
  get url(): string {
    const announcement: unknown = JSON.parse(this.console.stdout);
    if (typeof announcement === "object" && announcement && "url" in announcement) return String(announcement.url);
    throw new Error(`the console announced no address: ${this.console.stdout}`);
  }

  #start(name: string, command: string, args: readonly string[]): Program {
    const program = new Program({ name, command, args, cwd: this.lab.directory });
    this.#programs.push(program);
    return program;
  }

  /** A new page in a new browser profile, opened with the token of the console that runs. */
  async openPage(theme: Theme = "dark"): Promise<Page> {
    // A token opens one session; a second page of the same console comes with the session of the first.
    const isSameConsole = this.#openedConsole === this.console;
    const session = isSameConsole ? { storageState: await this.context.storageState() } : {};
    this.#openedConsole = this.console;
    await this.context?.close();
    this.context = await this.browser.newContext({
      ...session,
      viewport: { width: 1440, height: 900 },
      colorScheme: theme === "light" ? "light" : "dark",
      contrast: theme === "contrast" ? "more" : "no-preference",
      reducedMotion: "reduce",
    });
    this.context.setDefaultTimeout(ACTION_LIMIT_MS);
    await this.context.tracing.start({ snapshots: true });
    // Chromium gives up what it loads when this machine gets another interface, and other tests give it some. What the window
    // consists of comes past that; it asks again for what the console says.
    await this.context.route(/\/assets\/|\.(?:js|css|svg|woff2)$/, async (route) => {
      const response = await route.fetch({ timeout: ACTION_LIMIT_MS }).catch(() => null);
      await (response === null ? route.continue() : route.fulfill({ response })).catch(() => {});
    });
    this.page = await this.context.newPage();
    this.page.on("pageerror", (error) => this.complaints.push(error.message));
    this.page.on("console", (message) => {
      if (isComplaint(message))
        this.complaints.push(`${message.text()} (${message.location().url}:${message.location().lineNumber})`);
    });
    await this.page.goto(isSameConsole ? new URL(this.url).origin : this.url);
    await this.page.getByRole("navigation", { name: "Views" }).waitFor();
    return this.page;
  }

  /** `bin/wardline` with the session of this test. */
  run(args: readonly string[]): Promise<CommandResult> {
    return runWardline([...args, ...this.sessionArguments], this.lab.directory);
  }

  /** Puts exactly these files in force and keeps them, by the command line. */
  async enforce(
    files: Readonly<Record<string, string>>,
    { mode = "enforce", reason = "prepared by the test" }: { mode?: "enforce" | "observe"; reason?: string } = {},
  ): Promise<void> {
    const directory = mkdtempSync(join(this.lab.directory, "desired-"));
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), text);
    }
    const how = ["--mode", mode, "--reason", reason, "--confirm-within", "10m", "--yes"];
    const commands = [
      ["policy", "apply", "--policies", directory, ...how],
      ["policy", "confirm"],
    ];
    for (const command of commands) {
      const { exitCode, stdout, stderr } = await this.run(command);
      if (exitCode !== 0)
        throw new Error(`wardline ${command.join(" ")} ended with ${exitCode}:\n${stdout}\n${stderr}`);
    }
  }

  /**
   * For `beforeEach`: keeps a screenshot, the trace and the logs of a test that fails, and leaves out the steps that
   * build on it.
   */
  watch(context: TestContext): void {
    // A second try of the step that failed is no later step: skipped, its failure would not be told.
    if (this.#failedTask !== null && this.#failedTask !== context.task.id) context.skip("an earlier step failed");
    const name = `${context.task.file.name} ${context.task.name}`.replace(/[^a-zA-Z0-9]+/g, "-").slice(0, 120);
    context.onTestFailed(() => {
      this.#failedTask = context.task.id;
      return this.#keepEvidence(join(RESULTS_DIR, name));
    });
  }

  async #keepEvidence(directory: string): Promise<void> {
    mkdirSync(directory, { recursive: true });
    for (const program of this.#programs) program.writeLog(directory);
    const logDir = join(this.stateDir, "logs");
    if (existsSync(logDir)) cpSync(logDir, join(directory, "console-logs"), { recursive: true });
    await this.page?.screenshot({ path: join(directory, "page.png") }).catch(() => {});
    await this.context?.tracing.stop({ path: join(directory, "trace.zip") }).catch(() => {});
    await this.context?.tracing.start({ snapshots: true }).catch(() => {});
  }

  async close(): Promise<void> {
    await this.browser?.close();
    for (const program of this.#programs.toReversed()) await program.stop();
    await this.lab.close();
  }
}
