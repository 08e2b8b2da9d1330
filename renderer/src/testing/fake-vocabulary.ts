/** The part of the fake backend that the editor asks: the texts, and what the fleet uses. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { FakeFile } from "./fake-workspace.ts";

export function fakeVocabularyService(files: ReadonlyMap<string, FakeFile>, gate: () => Promise<void>) {
  return {
    async getTexts({ paths }: { paths: string[] }) {
      await gate();
      return {
        files: paths.flatMap((path) => {
          const file = files.get(path);
          return file ? [{ path, text: file.text, revision: file.revision }] : [];
        }),
      };
    },
    async getVocabulary() {
      await gate();
      return {
        ports: [
          { protocol: 6, port: 5432, flows: 18_204n, denied: 12n },
          { protocol: 6, port: 443, flows: 9_120n, denied: 0n },
          { protocol: 17, port: 53, flows: 4_400n, denied: 0n },
        ],
        addresses: [
          { address: "10.20.0.31", name: "db-1", flows: 18_204n },
          { address: "203.0.113.77", name: "", flows: 41n },
        ],
        rules: [],
        discovered: [],
        flows: 31_800n,
        since: timestampFromMs(Date.now() - 86_400_000),
        countedAt: timestampFromMs(Date.now()),
        hostsAsked: 1,
        hostsCounting: 1,
      };
    },
  };
}
