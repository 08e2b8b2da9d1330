import { type Command, Option } from "commander";
import { parseDuration } from "../input/duration.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface VerdictsOptions extends CommonOptions {
  readonly since?: number;
  readonly hosts: string;
  readonly group: string;
  readonly port?: string;
  readonly policy: string;
  readonly all: boolean;
  readonly draft?: string;
  readonly staged?: string;
  readonly enforced?: string;
  readonly reported?: string;
  readonly limit: number;
}

export const VERDICT_WORDS = ["allow", "deny", "observed", "unknown", "nothing", "mixed"] as const;

export function addPolicyVerdicts(policy: Command, runner: Runner): void {
  const command = withSessionOptions(withFormat(policy.command("verdicts")))
    .description(
      "draft, staged, enforced and reported verdicts of the same connections; exits with 1 when columns disagree",
    )
    .option("--since <time>", "records of the last 24h, 7d …", parseDuration)
    .option("--hosts <hosts>", "connections with an end on these: ids, names or aliases, or all", "all")
    .option("--group <text>", "part of the name of one of the two groups", "")
    .option("--port <port>", "443/tcp, 53/udp …")
    .option("--policy <text>", "part of the key of a policy that decides", "")
    .option("--all", "also where the columns agree", false)
    .option("--limit <count>", "most rows", (text) => Number(text), 500);
  for (const column of ["draft", "staged", "enforced", "reported"]) {
    command.addOption(new Option(`--${column} <verdict>`, `what ${column} says`).choices([...VERDICT_WORDS]));
  }
  command.action((options: VerdictsOptions) =>
    runner.run(options, async (output) => {
      const { policyVerdicts } = await import("./policy-verdicts.ts");
      return policyVerdicts(output, options);
    }),
  );
}
