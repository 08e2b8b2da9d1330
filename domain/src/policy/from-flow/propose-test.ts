/** A PolicyTest that expects of the workspace what was seen of a connection. */
import type { PolicyFlow } from "../evaluation.ts";
import type { Verdict } from "../model.ts";
import { portValue } from "../suggest/document.ts";
import { flow as inline, type YamlValue } from "../suggest/yaml-text.ts";

export interface TestInput {
  readonly flows: readonly PolicyFlow[];
  readonly expected: Verdict;
  readonly because: string;
  /** Names of tests that are there. */
  readonly taken: ReadonlySet<string>;
}

/** The file with one document more. */
export function withTest(text: string, { flows, expected, because, taken }: TestInput): string {
  const [first] = flows;
  if (!first) return text;
  const base = `seen-${first.protocol}-${first.port}-${expected}`;
  let name = base;
  for (let number = 2; taken.has(name); number++) name = `${base}-${number}`;
  const cases = flows.map(
    (flow): YamlValue => ({
      from: endValue(flow.from.address),
      to: endValue(flow.to.address),
      ports: [portValue({ protocol: flow.protocol, low: flow.port, high: flow.port })],
      expect: expected,
      ...(because === "" ? {} : { because }),
    }),
  );
  const document = [
    "apiVersion: wardline.io/v1",
    "kind: PolicyTest",
    `metadata: ${inline({ name, namespace: "default" })}`,
    "spec:",
    "  tests:",
    ...cases.map((each) => `    - ${inline(each)}`),
  ].join("\n");
  if (text.trim() === "") return `${document}\n`;
  return `${text}${text.endsWith("\n") ? "" : "\n"}---\n${document}\n`;
}

function endValue(address: string): YamlValue {
  return { ipBlock: { cidr: `${address}/${address.includes(":") ? 128 : 32}` } };
}
