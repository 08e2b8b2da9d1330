/**
 * Host documents of machines that are added: policies select hosts by these. When a machine is added nobody knows yet what
 * its agent calls it, so the document is written under the alias, and takes the agent's name and addresses at first contact.
 */
import { Failure } from "@wardline/domain/errors";
import { canonicalAddress } from "@wardline/domain/policy";
import { newHostDocument, withHostIdentity, withHostLabels } from "../hosts/host-document.ts";
import type { HostManager } from "../hosts/host-manager.ts";
import type { ManagedHost } from "../hosts/managed-host.ts";
import type { Workspace, WorkspaceSnapshot } from "../policies/workspace.ts";
import type { Logger } from "../ports.ts";

/** More documents than these go into one file: a folder with a thousand files helps nobody. */
const MOST_SINGLE_FILES = 10;
const LONGEST_NAME = 200;

export interface NewDocument {
  readonly alias: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface WrittenDocuments {
  /** To put into the workspace: new files, and files that hold a document of the same name already. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
  /** By alias: the name to be adopted later; absent where a document of that name was there before. */
  readonly names: ReadonlyMap<string, string>;
}

/** The documents for machines that are added. @throws Failure POLICY_INVALID when a file with such a document cannot be edited */
export function documentsFor(
  hosts: readonly NewDocument[],
  snapshot: WorkspaceSnapshot,
  day: string,
): WrittenDocuments {
  const { endpoints } = snapshot.reading.world.inventory;
  const declared = new Map(endpoints.flatMap((each) => (each.kind === "host" ? [[each.name, each]] : [])));
  const edited = new Map<string, string>();
  const fresh: { name: string; text: string }[] = [];
  const names = new Map<string, string>();
  const taken = new Set(declared.keys());
  for (const { alias, address, labels } of hosts) {
    const wanted = documentName(alias);
    const known = declared.get(wanted);
    if (known?.source) {
      const { file: path } = known.source;
      const text = edited.get(path) ?? snapshot.files.find((file) => file.path === path)?.text ?? "";
      const merged = { ...Object.fromEntries(known.labels), ...labels };
      edited.set(path, withHostLabels({ path, text }, wanted, merged));
      continue;
    }
    const name = unique(wanted, (candidate) => taken.has(candidate));
    taken.add(name);
    names.set(alias, name);
    const canonical = canonicalAddress(address);
    fresh.push({ name, text: newHostDocument(name, canonical ? [canonical] : [], labels, "") });
  }
  const paths = new Set(snapshot.files.map((file) => file.path));
  return { files: [...[...edited].map(([path, text]) => ({ path, text })), ...newFiles(fresh, paths, day)], names };
}

function newFiles(documents: readonly { name: string; text: string }[], taken: ReadonlySet<string>, day: string) {
  const free = (stem: string) => `hosts/${unique(stem, (each) => taken.has(`hosts/${each}.yaml`))}.yaml`;
  if (documents.length <= MOST_SINGLE_FILES) {
    return documents.map(({ name, text }) => ({ path: free(name.slice(0, LONGEST_NAME)), text }));
  }
  return [{ path: free(`added-${day}`), text: documents.map(({ text }) => text).join("---\n") }];
}

/** A name by the rules of documents: RFC 1123 subdomain. */
function documentName(alias: string): string {
  const parts = alias
    .toLowerCase()
    .split(".")
    .map((part) => part.replace(/[^a-z0-9-]+/g, "-").replace(/^-+|-+$/g, ""))
    .filter((part) => part !== "");
  return (
    parts
      .join(".")
      .slice(0, LONGEST_NAME)
      .replace(/[.-]+$/, "") || "host"
  );
}

function unique(wanted: string, isTaken: (candidate: string) => boolean): string {
  let candidate = wanted;
  for (let number = 2; isTaken(candidate); number++) candidate = `${wanted}-${number}`;
  return candidate;
}

/** At first contact the document takes the name and addresses that the agent reports. Returns the disposer. */
export function introduceAtFirstContact(
  host: ManagedHost,
  ports: { readonly manager: HostManager; readonly workspace: Workspace; readonly logger: Logger },
): () => void {
  let told = "";
  const look = () => {
    const { documentName: name } = host.record;
    const info = host.connection.state.status?.info;
    if (name === "" || host.connection.state.lastHeardAtMs === 0 || !info?.name) return;
    try {
      adopt(host, name, ports);
    } catch (error) {
      // A document that cannot be edited is the person's to repair; the next status tries again.
      if (!(error instanceof Failure)) throw error;
      if (told === error.message) return;
      told = error.message;
      ports.logger.warn({ host: host.id, code: error.code, problem: error.message }, "host document not adopted");
    }
  };
  look();
  return host.connection.changes.subscribe(look);
}

function adopt(
  host: ManagedHost,
  name: string,
  { manager, workspace, logger }: Parameters<typeof introduceAtFirstContact>[1],
) {
  const info = host.connection.state.status?.info;
  if (!info) return;
  const { endpoints } = workspace.snapshot().reading.world.inventory;
  const documentOf = (wanted: string) => endpoints.find((each) => each.kind === "host" && each.name === wanted);
  const written = documentOf(name);
  // Deleted by the person, or another document has the name already: then that is what counts.
  const isFree = info.name === name || documentOf(info.name) === undefined;
  if (written?.source && isFree && /^[a-z0-9.-]+$/.test(info.name)) {
    const file = workspace.file(written.source.file);
    const addresses = info.addresses.filter((address) => canonicalAddress(address) !== null);
    workspace.save(
      file.path,
      withHostIdentity({ ...file, line: written.source.line }, name, { name: info.name, addresses }),
      file.revision,
    );
    logger.info({ host: host.id, path: file.path }, "host document adopted");
  }
  manager.update({ ...host.record, documentName: "" });
}
