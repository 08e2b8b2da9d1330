/** Policies of the fake console: files, imports, checks, versions. */
import { Code } from "@connectrpc/connect";
import {
  type DroppedFile,
  ImportAction,
  type SimulatePoliciesRequest,
  type Version,
} from "@wardline/api/wardline/console/v1/policies";
import { ErrorCode } from "@wardline/api/wardline/v1/error";
import { explain } from "./fake-engine.ts";
import { previewOf } from "./fake-import.ts";
import type { FakeVerdicts } from "./fake-verdicts.ts";
import { checkText, documentsOf, type FakeFile, failure } from "./fake-workspace.ts";

export interface FakePolicyPorts {
  readonly files: Map<string, FakeFile>;
  readonly verdicts: FakeVerdicts;
  readonly versions: (Version & { files: { path: string; text: string }[] })[];
  /** Saves a text; its new revision. */
  write(path: string, text: string): bigint;
  notify(): void;
  gate(): Promise<void>;
}

export function fakePolicyService(fake: FakePolicyPorts) {
  const mustHave = (path: string) => {
    const file = fake.files.get(path);
    if (!file)
      throw failure(
        ErrorCode.NOT_FOUND,
        Code.NotFound,
        `There is no file ${path} in the workspace.`,
        "It may have been renamed or deleted.",
      );
    return file;
  };
  return {
    simulatePolicies: (request: SimulatePoliciesRequest, { signal }: { readonly signal: AbortSignal }) =>
      fake.verdicts.simulate(request, signal),
    async getFile({ path }: { path: string }) {
      await fake.gate();
      const { text, revision } = mustHave(path);
      return { path, text, revision };
    },
    async saveFile({ path, text, baseRevision }: { path: string; text: string; baseRevision: bigint }) {
      await fake.gate();
      const current = fake.files.get(path)?.revision ?? 0n;
      if (current !== baseRevision)
        throw failure(
          ErrorCode.REVISION_CONFLICT,
          Code.Aborted,
          `${path} was changed elsewhere since you opened it.`,
          "Compare both texts and choose.",
        );
      return { revision: fake.write(path, text), diagnostics: checkText(path, text) };
    },
    async renameFile({ path, newPath }: { path: string; newPath: string }) {
      await fake.gate();
      if (fake.files.has(newPath))
        throw failure(
          ErrorCode.ALREADY_EXISTS,
          Code.AlreadyExists,
          `${newPath} exists already.`,
          "Choose another name.",
        );
      fake.files.set(newPath, mustHave(path));
      fake.files.delete(path);
      fake.notify();
      return {};
    },
    async deleteFile({ path }: { path: string }) {
      await fake.gate();
      mustHave(path);
      fake.files.delete(path);
      fake.notify();
      return {};
    },
    async previewImport({ files }: { files: DroppedFile[] }) {
      await fake.gate();
      return { files: files.map((file) => previewOf(file, fake.files.get(file.path))) };
    },
    async importFiles({ files }: { files: DroppedFile[] }) {
      await fake.gate();
      const previews = files.map((file) => previewOf(file, fake.files.get(file.path)));
      previews.forEach((preview, index) => {
        const content = files[index]?.content;
        if (content && (preview.action === ImportAction.ADD || preview.action === ImportAction.REPLACE))
          fake.write(preview.path, new TextDecoder().decode(content));
      });
      return { files: previews };
    },
    async check({ files }: { files: { path: string; text: string }[] }) {
      await fake.gate();
      const texts = new Map([...fake.files].map(([path, file]) => [path, file.text] as const));
      for (const file of files) texts.set(file.path, file.text);
      return {
        diagnostics: [...texts].flatMap(([path, text]) => checkText(path, text)),
        documents: [...texts].flatMap(([path, text]) => documentsOf(path, text)),
      };
    },
    async explain(request: { from: string; to: string; protocol: number; port: number }) {
      await fake.gate();
      return explain(request);
    },
    async listVersions() {
      await fake.gate();
      return { versions: fake.versions };
    },
    async getVersion({ id }: { id: string }) {
      await fake.gate();
      const version = fake.versions.find((candidate) => candidate.id === id);
      if (!version) throw failure(ErrorCode.NOT_FOUND, Code.NotFound, "There is no such version.");
      return { version, files: version.files };
    },
    async restoreVersion({ id }: { id: string; reason: string }) {
      await fake.gate();
      const version = fake.versions.find((candidate) => candidate.id === id);
      if (!version) throw failure(ErrorCode.NOT_FOUND, Code.NotFound, "There is no such version.");
      for (const file of version.files) fake.write(file.path, file.text);
      return { version };
    },
  };
}
