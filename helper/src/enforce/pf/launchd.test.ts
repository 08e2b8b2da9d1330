import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readCommandLine } from "../../agent/options.ts";

const PATH = new URL("../../../../assets/launchd/io.wardline.agent.plist", import.meta.url);

type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value };

/** The part of property lists that ours uses; anything else, and anything not well-formed, is an error. */
function readPropertyList(xml: string): Value {
  const [head, body = ""] = xml.split('<plist version="1.0">');
  expect(head).toMatch(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n<!DOCTYPE plist PUBLIC /);
  const comments = xml.match(/<!--[\s\S]*?-->/g) ?? [];
  // XML forbids two hyphens inside of a comment, which "--socket" would be.
  for (const comment of comments) expect(comment.slice(4, -3)).not.toContain("--");
  const tokens = body.replaceAll(/<!--[\s\S]*?-->/g, "").match(/<\/?[a-z]+\/?>|[^<>\s][^<>]*/g) ?? [];
  const take = (expected?: string): string => {
    const token = tokens.shift();
    if (token === undefined || (expected !== undefined && token !== expected))
      throw new Error(`${token} for ${expected}`);
    return token;
  };
  const text = (end: string): string => {
    const content = take();
    take(end);
    return content;
  };
  const value = (): Value => {
    const tag = take();
    if (tag === "<true/>" || tag === "<false/>") return tag === "<true/>";
    if (tag === "<string>") return text("</string>");
    if (tag === "<integer>") return Number(text("</integer>"));
    if (tag === "<array>") {
      const items: Value[] = [];
      while (tokens[0] !== "</array>") items.push(value());
      take("</array>");
      return items;
    }
    if (tag !== "<dict>") throw new Error(`unexpected ${tag}`);
    const entries: [string, Value][] = [];
    while (tokens[0] === "<key>") {
      take("<key>");
      entries.push([text("</key>"), value()]);
    }
    take("</dict>");
    expect(new Set(entries.map(([key]) => key)).size).toBe(entries.length);
    return Object.fromEntries(entries);
  };
  const list = value();
  take("</plist>");
  expect(tokens).toEqual([]);
  return list;
}

describe("the launchd job", () => {
  const list = readPropertyList(readFileSync(PATH, "utf8")) as Record<string, Value>;

  it("starts at boot, and again whatever ended it", () => {
    expect(list).toMatchObject({
      Label: "io.wardline.agent",
      RunAtLoad: true,
      KeepAlive: true,
      ThrottleInterval: 1,
      Umask: 0o077,
    });
  });

  it("starts the agent with a command line that it understands", () => {
    const [program, ...commandLine] = list.ProgramArguments as string[];
    expect(program).toMatch(/^\/.*\/wardline-agent$/);
    const root = { environment: {}, isRoot: true, homeDir: "/var/root", systemHostName: "mac" };
    expect(readCommandLine(commandLine, root)).toMatchObject({
      kind: "run",
      options: { socketPath: "/var/run/wardline/agent.sock", stateDir: "/var/db/wardline", backend: "auto" },
    });
  });
});
