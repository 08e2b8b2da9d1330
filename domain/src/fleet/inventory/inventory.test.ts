import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INVENTORY_LIMITS, type InventoryHost, readInventory } from "./index.ts";

const read = (name: string, ...lines: string[]) => readInventory(name, lines.join("\n"));

function brief({ alias, address, port, user, jump, groups, labels, environment, identityFiles, line }: InventoryHost) {
  const way = `${user === "" ? "" : `${user}@`}${address}${port === 0 ? "" : `:${port}`}${jump === "" ? "" : ` via ${jump}`}`;
  const rest = [...groups, ...[...labels].map((label) => label.join("=")), ...identityFiles];
  if (environment) rest.push(`${environment.name}/${environment.color}`);
  return `${line} ${alias === address ? "" : `${alias}: `}${way}${rest.length > 0 ? ` [${rest.join(" ")}]` : ""}`;
}

const told = (reading: ReturnType<typeof readInventory>) =>
  reading.diagnostics.map(({ code, source, message }) => `${code} ${source.line}: ${message}`);

describe("plain lines", () => {
  it("are user, host and port, with comments", () => {
    const reading = read(
      "hosts.txt",
      "# mine",
      "web-1.example.com",
      "",
      "ops@192.0.2.10:2222 # the second",
      "[2001:db8::1]:22",
      "2001:db8::2",
      "ssh://root@db-1/",
    );
    expect(reading).toMatchObject({ format: "lines", diagnostics: [] });
    expect(reading.hosts.map(brief)).toEqual([
      "2 web-1.example.com",
      "4 ops@192.0.2.10:2222",
      "5 2001:db8::1:22",
      "6 2001:db8::2",
      "7 root@db-1",
    ]);
  });

  it.each([
    ["-oProxyCommand=x", "WL501 1"],
    ["a b", "WL501 1"],
    ["a;b", "WL501 1"],
    ["@host", "WL501 1"],
    ["host:0", "WL501 1"],
    ["host:70000", "WL501 1"],
    ["host$(id)", "WL501 1"],
    ["all", "WL503 1"],
  ])("refuse %s", (line, start) => {
    const reading = read("hosts", line);
    expect(reading.hosts).toEqual([]);
    expect(told(reading)[0]).toMatch(new RegExp(`^${start}`));
  });

  it("refuse a name that comes twice, whatever its case", () => {
    const reading = read("hosts", "web", "WEB");
    expect(told(reading)).toEqual([
      'WL504 2: "WEB" was named in line 1 already; upper and lower case are the same name.',
    ]);
  });
});

describe("our inventory", () => {
  it("has defaults, groups, labels and environments with colours", () => {
    const reading = read(
      "fleet.yaml",
      "apiVersion: wardline.io/v1",
      "kind: HostList",
      "environments: {lab: red}",
      "defaults: {user: ops, jump: bastion, groups: [eu], labels: {owner: net}}",
      "hosts:",
      "  - alias: web-1",
      "    address: 192.0.2.10",
      "    port: 2222",
      "    identityFile: ~/.ssh/web",
      "    groups: [web]",
      "    labels: {app: web}",
      "    environment: lab",
      "  - {address: db.example.com, user: root, environment: production}",
    );
    expect(told(reading)).toEqual([]);
    expect(reading.format).toBe("wardline");
    expect(reading.hosts.map(brief)).toEqual([
      "6 web-1: ops@192.0.2.10:2222 via bastion [eu web owner=net app=web ~/.ssh/web lab/red]",
      "13 root@db.example.com via bastion [eu owner=net production/red]",
    ]);
  });

  it("says what is wrong where it is", () => {
    const reading = read(
      "fleet.yml",
      "kind: HostList",
      "environments: {lab: rde}",
      "hosts:",
      "  - addres: a",
      "    alias: one",
      "  - address: b",
      "    port: 99999",
      "  - address: 'c d'",
      "  - address: e",
      "    labels: {'bad key': x}",
      "  - address: f",
      "    groups: ['a b']",
      "  - just-text",
    );
    expect(told(reading)).toEqual([
      'WL503 2: "rde" is not a colour. Did you mean red?',
      'WL502 4: "addres" is unknown here. Did you mean address?',
      "WL503 7: port is a number from 1 to 65535.",
      'WL503 8: "c d" is not the name or address of a machine.',
      'WL503 9: "bad key" is not a label key.',
      expect.stringContaining('WL507 11: The group "a b" is left out.'),
      expect.stringContaining("WL501 13: A host must be a mapping"),
    ]);
    expect(reading.hosts.map(({ alias }) => alias)).toEqual(["one", "b", "f"]);
  });

  it("reports syntax with the codes of policy files", () => {
    expect(told(read("fleet.yaml", "hosts: [", "  {address: a"))[0]).toMatch(/^WL1/);
  });
});

describe("Ansible's inventory in INI", () => {
  it("has groups, children, variables and ranges; the more special place counts", () => {
    const reading = read(
      "inventory.ini",
      "lonely ansible_host=192.0.2.1",
      "[web]",
      "web[01:03].example.com ansible_port=2222 http_port=80",
      "web02.example.com ansible_user='other user'",
      "[db]",
      'db1:2200 ansible_ssh_private_key_file=~/.ssh/db ansible_ssh_common_args="-o ProxyJump=ops@bastion:2222 -C" # why',
      "[eu:children]",
      "web",
      "db",
      "[eu:vars]",
      "ansible_user=eu",
      "[db:vars]",
      "ansible_user = dba ; the people of databases",
      "wardline_environment=production",
      "wardline_labels='app=db,tier=back'",
      "[all:vars]",
      "ansible_user=all",
    );
    expect(told(reading)).toEqual(['WL503 3: "other user" cannot be a user name.']);
    expect(reading.format).toBe("ansible-ini");
    expect(reading.hosts.map(brief)).toEqual([
      "1 lonely: all@192.0.2.1",
      "3 eu@web01.example.com:2222 [eu web]",
      "3 eu@web03.example.com:2222 [eu web]",
      "6 dba@db1:2200 via ops@bastion:2222 [db eu app=db tier=back ~/.ssh/db production/red]",
    ]);
  });

  it("tells what it leaves out, and what does not fit", () => {
    const reading = read(
      "hosts",
      "[web]",
      "a ansible_password=secret ansible_hots=b",
      "b ansible_connection=local",
      "c ansible_host='{{ address }}'",
      "d ansible_ssh_common_args='-o ProxyCommand=nc'",
      "e[5:1]",
      "f[x]",
      "g 'open",
      "[web",
      "lost",
      "[top:children]",
      "wbe",
      "top",
      "[top:vars]",
      "nothing",
    );
    expect(told(reading).map((line) => line.slice(0, 95))).toEqual([
      "WL506 2: ansible_password is not read: passwords are asked for when they are needed and kept in",
      'WL502 2: "ansible_hots" is unknown. Did you mean ansible_host?',
      'WL506 3: b is left out: it is reached by "local" and not by SSH.',
      "WL506 4: ansible_host is a template and is not filled in here; it is left out.",
      "WL506 5: A ProxyCommand is not taken from an inventory: put it into ~/.ssh/config, or use -J.",
      'WL503 6: "e[5:1]" has the range [5:1], which goes backwards.',
      'WL503 7: "f[x]" has the range [x], which is none.',
      "WL501 8: A quote is opened and not closed.",
      'WL501 9: "[web" is not a section. Sections are [group], [group:children] and [group:vars].',
      'WL507 12: The group "wbe" is not defined in this file. Did you mean web?',
      'WL507 13: The group "top" contains itself; this line does not count.',
      'WL501 15: "nothing" is not key=value.',
    ]);
    expect(JSON.stringify(reading)).not.toContain("secret");
  });
});

describe("Ansible's inventory in YAML", () => {
  it("has groups below all or beside it", () => {
    const reading = read(
      "hosts.yml",
      "all:",
      "  vars: {ansible_user: ops}",
      "  hosts:",
      "    lonely:",
      "  children:",
      "    web:",
      "      hosts:",
      "        web-[a:b]: {ansible_port: 2222}",
      "    eu:",
      "      children:",
      "        web:",
      "db:",
      "  host: {x: }",
      "  hosts:",
      "    db-1: {ansible_host: 192.0.2.5, ansible_become_password: x}",
    );
    expect(reading.format).toBe("ansible-yaml");
    expect(reading.hosts.map(brief)).toEqual([
      "4 ops@lonely",
      "8 ops@web-a:2222 [eu web]",
      "8 ops@web-b:2222 [eu web]",
      "15 db-1: ops@192.0.2.5 [db]",
    ]);
    expect(told(reading)).toEqual([
      'WL502 13: "host" is unknown here. Did you mean hosts?',
      expect.stringContaining("WL506 15: ansible_become_password is not read"),
    ]);
  });

  it("is told from ours by its hosts, and other things are refused", () => {
    expect(read("x.json", '{"web": {"hosts": {"a": {}}}}')).toMatchObject({ format: "ansible-yaml", hosts: [{}] });
    expect(read("x.json", '{"hosts": [{"address": "a"}]}')).toMatchObject({ format: "wardline", hosts: [{}] });
    expect(told(read("x.yaml", "- a"))[0]).toContain("WL501 1: The file is neither");
    expect(told(read("x.yaml", ""))[0]).toContain("names no hosts");
  });
});

describe("bounds", { timeout: 120_000 }, () => {
  it("hold for hosts, ranges, size and diagnostics", () => {
    const many = Array.from({ length: 1_200 }, (_, index) => `h${index}`);
    const reading = read("hosts", ...many);
    expect(reading.hosts).toHaveLength(INVENTORY_LIMITS.maxHosts);
    expect(told(reading)[0]).toContain("WL505 1001");
    expect(told(read("x.ini", "a[0:999999999]"))[0]).toContain("more than 1,000 hosts");
    expect(told(read("x.ini", "a[0:99][0:99]"))[0]).toContain("more than 1,000 hosts");
    expect(told(read("x", "a".repeat(INVENTORY_LIMITS.maxLength + 1)))[0]).toContain("more than 1 MiB");
    const bad = read("hosts", ...Array.from({ length: 500 }, () => "a b"));
    expect(bad.diagnostics).toHaveLength(INVENTORY_LIMITS.maxDiagnostics + 1);
    expect(bad.diagnostics.at(-1)?.message).toBe("300 more problems are not listed.");
  });

  it.each([
    ["x.ini", "[".repeat(1_000_000)],
    ["x", `[${"g".repeat(1_000_000)}`],
    ["x.ini", `a ${"b='".repeat(300_000)}`],
    ["x.ini", `[g]\nx\n[g:vars]\n${"ansible_hots=1\n".repeat(60_000)}`],
    ["x.ini", Array.from({ length: 60_000 }, (_, index) => `[g${index}:children]\ng${index + 1}`).join("\n")],
    ["x.yaml", "{a: ".repeat(200_000)],
    ["x.yaml", `kind: HostList\nhosts:\n${"- {addres: a}\n".repeat(60_000)}`],
    ["x", `${"a:".repeat(500_000)}`],
    ["x.txt", "\u001b[31m".repeat(100_000)],
  ])("hold for hostile files (%s %.12s…)", (name, text) => {
    const before = process.cpuUsage();
    const reading = readInventory(name, text.slice(0, INVENTORY_LIMITS.maxLength));
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(3_000);
    expect(reading.diagnostics.length).toBeLessThanOrEqual(INVENTORY_LIMITS.maxDiagnostics + 2);
  });

  it("never throws, and gives only hosts that can be added", () => {
    const pieces = fc.constantFrom(
      "[",
      "]",
      ":",
      "{",
      "}",
      "-",
      " ",
      "\n",
      "\n  ",
      "#",
      "=",
      "'",
      '"',
      "hosts:",
      "all:",
      "children:",
      "vars:",
      "[web]\n",
      "[a:children]\n",
      "ansible_host=",
      "a[1:3]",
      "user@",
      "::1",
      "kind: HostList\n",
      "- address: x\n",
      "é",
      "\u0000",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(pieces, { maxLength: 40 }).map((list) => list.join("")),
    );
    fc.assert(
      fc.property(fc.constantFrom("x", "x.yaml", "x.ini", "x.json", "x.txt"), text, (name, given) => {
        const { hosts, diagnostics } = readInventory(name, given);
        const lines = given.split("\n").length;
        return (
          hosts.every(
            ({ address, line }) =>
              /^[^\s'"`$;&|<>(){}-][^\s'"`$;&|<>(){}]*$/.test(address) && line >= 1 && line <= lines,
          ) && diagnostics.every(({ source }) => source.line >= 1 && source.line <= lines)
        );
      }),
      { numRuns: 2_000 },
    );
  });
});
