import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { FORMS, parseQuestion } from "./index.ts";
import { askedVocabulary } from "./testing.ts";

it("docs/ask.md lists every form with an example that is understood", () => {
  const page = readFileSync(new URL("../../../../docs/ask.md", import.meta.url), "utf8");
  const listed = [...page.matchAll(/^\| `([^`]+)` \| (.+) \|$/gm)].map(([, example, meaning]) => ({
    example,
    meaning,
  }));
  expect(listed).toEqual(FORMS.map(({ example, meaning }) => ({ example, meaning })));
  for (const { example = "" } of listed) {
    expect({ example, kind: parseQuestion(example, askedVocabulary()).kind }).toEqual({ example, kind: "question" });
  }
});
