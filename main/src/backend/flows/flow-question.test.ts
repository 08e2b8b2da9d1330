import { create } from "@bufbuild/protobuf";
import { FlowSchema } from "@wardline/api/wardline/v1/flow";
import type { LabelResolver } from "@wardline/domain/flows";
import { expect, it } from "vitest";
import type { EndpointFacts } from "../history/service/endpoint-book.ts";
import { flowQuestion } from "./flow-question.ts";

const FLOW = create(FlowSchema, {
  ...{ host: "web-1", subjectKey: "Host/web-1", sourceAddress: "10.0.0.1", destinationAddress: "203.0.113.9" },
  ...{ protocol: 6, destinationPort: 443 },
});

/** A book in which labels can be changed, and that counts what it is asked. */
function bookOf(holders: Record<string, ReturnType<LabelResolver>>) {
  const asked: string[] = [];
  const known: Partial<EndpointFacts> = {
    hostNames: (value: string) => (value === "front" ? ["front", "web-1"] : [value]),
    labels: (label: string) => {
      asked.push(label);
      return holders[label] ?? { subjectKeys: [], addresses: [] };
    },
  };
  const facts = () => known as EndpointFacts;
  return { asked, known: facts, facts: async () => facts() };
}

it("is none for an empty text, and refuses what it cannot read", async () => {
  const book = bookOf({});
  expect(await flowQuestion("  ", 0, book)).toBeNull();
  await expect(flowQuestion("prot:1", 0, book)).rejects.toThrow(/field/);
});

it("knows hosts by all their names, as the history does", async () => {
  const question = await flowQuestion("host:front", 0, bookOf({}));
  expect(question?.isWanted(FLOW)).toBe(true);
});

it("follows labels: looked up once, and anew when it is refreshed", async () => {
  const holders: Record<string, ReturnType<LabelResolver>> = {
    "app=web": { subjectKeys: ["Host/web-1"], addresses: [] },
    "app=db": { subjectKeys: [], addresses: ["203.0.113.9"] },
  };
  const book = bookOf(holders);
  const matches = async (text: string) => (await flowQuestion(text, 0, book))?.isWanted(FLOW);
  expect(await matches("label:app=web")).toBe(true);
  expect(await matches("port:443 -(label:app=web)")).toBe(false);
  expect(await matches("label:app=db -label:app=cache")).toBe(true);
  const question = await flowQuestion("label:app=web", 0, book);
  book.asked.length = 0;
  for (let flow = 0; flow < 3; flow++) question?.isWanted(FLOW);
  expect(book.asked).toEqual(["app=web"]);
  holders["app=web"] = { subjectKeys: [], addresses: [] };
  expect(question?.isWanted(FLOW)).toBe(true);
  question?.refresh();
  expect(question?.isWanted(FLOW)).toBe(false);
});
