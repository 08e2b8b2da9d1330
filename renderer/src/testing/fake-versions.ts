/** Versions and the configuration of the fake console. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import {
  type GetProposalResponse,
  GetProposalResponseSchema,
  ProposedAction,
  SignerState,
  type SourceSettings,
} from "@wardline/api/wardline/console/v1/configuration";
import { ChangeKind } from "@wardline/api/wardline/console/v1/ship";
import { VersionKind, type VersionSide } from "@wardline/api/wardline/console/v1/versions";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { LineBlame } from "@wardline/domain/lines";
import { failure } from "./fake-workspace.ts";

type Files = readonly { readonly path: string; readonly text: string }[];

export interface FakeVersionsPorts {
  readonly versions: () => readonly {
    readonly id: string;
    readonly number: bigint;
    readonly author: string;
    readonly reason: string;
    readonly files: Files;
  }[];
  readonly files: () => Files;
  readonly write: (path: string, text: string) => void;
  readonly gate: () => Promise<void>;
}

const MEANING = {
  changes: [
    { gained: false, from: "app=web", to: "app=db", ports: "5432/tcp", decidedBy: ["Policy/default/db"] },
    { gained: true, from: "anyone", to: "app=web", ports: "443/tcp", decidedBy: ["Policy/default/web"] },
  ],
  leftOut: 0,
  unknownBecause: "",
};

/** One file that comes together by itself, one that both sides changed, and a hostile name. */
function proposalOf(settings: SourceSettings): GetProposalResponse {
  const [base, mine, theirs] = ["a: 1\nb: 2\n", "a: 1\nb: 3\n", "a: 1\nb: 4\n"];
  return create(GetProposalResponseSchema, {
    proposalId: "proposal",
    files: [
      { path: "policies/new.yaml", action: ProposedAction.ADD, theirs, result: theirs },
      { path: "policies/both.yaml", action: ProposedAction.CONFLICT, base, mine, theirs },
      { path: `<img src=x onerror=alert(1)>\u202e${"x".repeat(300)}.yaml`, action: ProposedAction.REMOVE, base, mine },
    ],
    meaning: MEANING,
    status: {
      settings,
      revisionText: "lena, 2 days ago: open the new database",
      conflictCount: 1,
      unpublishedCount: 2,
    },
  });
}

export class FakeVersions {
  /** What was asked, in order, for tests. */
  readonly asked: string[] = [];
  proposal: GetProposalResponse = create(GetProposalResponseSchema);
  readonly #ports: FakeVersionsPorts;

  constructor(ports: FakeVersionsPorts) {
    this.#ports = ports;
  }

  #entry(version: ReturnType<FakeVersionsPorts["versions"]>[number]) {
    return {
      ...{ number: version.number, id: version.id, author: version.author, reason: version.reason },
      ...{ parent: version.number - 1n, kind: VersionKind.APPLIED, ticket: `NET-${version.number}` },
      createdAt: timestampFromMs(Date.now() - 86_400_000),
      ...{ fileCount: version.files.length, policyCount: version.files.length, changedCount: 0 },
      changedPaths: version.files.map(({ path }) => path).slice(0, 20),
      enforcedOn: [{ hostId: "local", hostName: "this-host", since: timestampFromMs(Date.now() - 3_600_000) }],
    };
  }

  #side(side: VersionSide | undefined): Files {
    if (side?.side.case !== "number") return this.#ports.files();
    const { value } = side.side;
    return this.#ports.versions().find(({ number }) => number === value)?.files ?? [];
  }

  versionService() {
    const fake = this;
    const { gate, versions, files, write } = this.#ports;
    return {
      async searchVersions({ text }: { text: string }) {
        await gate();
        const list = [...versions()].sort((one, other) => Number(other.number - one.number));
        const found = list.filter(
          ({ reason, author, id }) => `${reason} ${author}`.toLowerCase().includes(text.toLowerCase()) || id === text,
        );
        return { versions: found.map((version) => fake.#entry(version)), hasMore: false };
      },
      async readVersion({ side, path }: { side?: VersionSide | undefined; path: string }) {
        await gate();
        const named = side?.side;
        const version = versions().find(({ number, id }) =>
          named?.case === "number" ? number === named.value : named?.case === "id" && id.startsWith(named.value),
        );
        if (!version)
          throw failure(ErrorCode.NOT_FOUND, Code.NotFound, "There is no such version on this console.", "");
        if (path === "") return { id: version.id, paths: version.files.map((file) => file.path) };
        return { id: version.id, paths: [path], text: version.files.find((file) => file.path === path)?.text ?? "" };
      },
      async compareVersions({ from, to }: { from?: VersionSide | undefined; to?: VersionSide | undefined }) {
        await gate();
        const old = new Map(fake.#side(from).map(({ path, text }) => [path, text]));
        const next = new Map(fake.#side(to).map(({ path, text }) => [path, text]));
        const paths = [...new Set([...old.keys(), ...next.keys()])].sort();
        const changed = paths.filter((path) => old.get(path) !== next.get(path));
        return {
          files: changed.map((path) => ({
            ...{ path, kind: ChangeKind.CHANGED },
            ...{ oldText: old.get(path) ?? "", newText: next.get(path) ?? "" },
          })),
          meaning: changed.length === 0 ? { changes: [], leftOut: 0, unknownBecause: "" } : MEANING,
        };
      },
      async getBlame({ path, text }: { path: string; text?: string | undefined }) {
        await gate();
        const blame = new LineBlame<number>();
        for (const version of versions()) {
          const file = version.files.find((one) => one.path === path);
          if (file) blame.add(file.text, Number(version.number));
        }
        blame.add(text ?? files().find((one) => one.path === path)?.text ?? "", 0);
        return {
          runs: blame.runs().map(({ firstLine, lineCount, mark }) => ({ firstLine, lineCount, number: BigInt(mark) })),
          versions: versions().map((version) => fake.#entry(version)),
        };
      },
      async keepVersion({ reason, ticket }: { reason: string; ticket: string }) {
        await gate();
        fake.asked.push(`keep ${reason}${ticket === "" ? "" : ` (${ticket})`}`);
        return { added: true };
      },
      async putBackVersion(request: { side?: VersionSide | undefined; path: string; reason: string }) {
        await gate();
        fake.asked.push(`put back ${request.path || "all"}: ${request.reason}`);
        for (const { path, text } of fake.#side(request.side)) {
          if (request.path === "" || request.path === path) write(path, text);
        }
        return {};
      },
    };
  }

  configurationService() {
    const fake = this;
    const { gate } = this.#ports;
    const parts = [
      { name: "policies and inventory", count: 3 },
      { name: "hosts and groups", count: 12 },
    ];
    return {
      async exportConfiguration() {
        await gate();
        fake.asked.push("export");
        const archive = new TextEncoder().encode("wardline-configuration/manifest.json");
        return { archive, fileName: "wardline-configuration-2026-11-22.tar", parts, keyFingerprint: "SHA256:own" };
      },
      async getProposal() {
        await gate();
        return fake.proposal;
      },
      async setSource({ settings }: { settings?: SourceSettings | undefined }) {
        await gate();
        fake.asked.push(`source ${settings?.kind.case}`);
        fake.proposal = settings ? proposalOf(settings) : create(GetProposalResponseSchema);
        return {};
      },
      async removeSource() {
        await gate();
        fake.proposal = create(GetProposalResponseSchema);
        return {};
      },
      async takeProposal({ resolved, reason }: { resolved: readonly { path: string }[]; reason: string }) {
        await gate();
        fake.asked.push(`take ${resolved.map(({ path }) => path).join(",")}: ${reason}`);
        fake.proposal = { ...fake.proposal, files: [] };
        return {};
      },
      async previewConfiguration({ removesMissing }: { removesMissing: boolean }) {
        await gate();
        const name = `db-${"x".repeat(300)}<img src=x onerror=alert(1)>\u202e`;
        return {
          signer: {
            state: SignerState.UNKNOWN,
            fingerprint: "SHA256:scaOpP40ddXkrPrunGwumX1xO2YQtzjQJWbje1e/oMY",
            name: "",
          },
          parts,
          changes: [
            { part: "policies and inventory", name: "policies/web.yaml", kind: ChangeKind.CHANGED },
            { part: "hosts and groups", name, kind: ChangeKind.ADDED },
            ...(removesMissing ? [{ part: "alert rules", name: "old", kind: ChangeKind.REMOVED }] : []),
          ],
          changeCount: removesMissing ? 3 : 2,
          sameCount: 4,
          meaning: MEANING,
          previewId: "preview",
          leftToDo: ['Give the receiver "hook" its secret again, if it has one.'],
        };
      },
      async importConfiguration({ acceptFingerprint, reason }: { acceptFingerprint: string; reason: string }) {
        await gate();
        fake.asked.push(`import ${acceptFingerprint.slice(0, 11)}: ${reason}`);
        return { changedCount: 2, leftToDo: ['Give the receiver "hook" its secret again, if it has one.'] };
      },
      async getConfigurationKeys() {
        await gate();
        return { own: { fingerprint: "SHA256:own", publicKey: "", name: "this console" }, trusted: [] };
      },
    };
  }
}
