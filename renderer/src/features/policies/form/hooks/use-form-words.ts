import { type FormFile, isList, isMapping, readValue, type YamlValue } from "@wardline/domain/policy/edit";
import { useMemo } from "react";
import type { FormWords } from "../model/form-context.ts";
import { textOf } from "../model/words.ts";

const USUAL_PORTS = [
  { value: "22", detail: "SSH" },
  { value: "53", detail: "DNS" },
  { value: "80", detail: "HTTP" },
  { value: "443", detail: "HTTPS" },
  { value: "5432", detail: "PostgreSQL" },
];
/** A file of many documents says the same words again and again. */
const MOST_PARTS = 300;

/** The words that this file uses already: what is offered where one types. */
export function useFormWords(file: FormFile): FormWords {
  return useMemo(() => {
    const labels = new Map<string, Set<string>>();
    const ports = new Map(USUAL_PORTS.map(({ value, detail }) => [value, detail]));
    for (const part of file.parts.slice(0, MOST_PARTS)) {
      if (part.root) collect(readValue(part.root), labels, ports);
    }
    return {
      labels: new Map([...labels].map(([key, values]) => [key, [...values]])),
      ports: [...ports].map(([value, detail]) => ({ value, detail })),
    };
  }, [file]);
}

function collect(value: YamlValue, labels: Map<string, Set<string>>, ports: Map<string, string>): void {
  if (isList(value)) for (const item of value) collect(item, labels, ports);
  if (!isMapping(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    if ((key === "matchLabels" || key === "labels") && isMapping(inner)) {
      for (const [name, word] of Object.entries(inner)) {
        if (name === "") continue;
        const values = labels.get(name) ?? new Set();
        if (textOf(word) !== "") values.add(textOf(word));
        labels.set(name, values);
      }
    } else if (key === "port" && textOf(inner) !== "") ports.set(textOf(inner), ports.get(textOf(inner)) ?? "");
    else collect(inner, labels, ports);
  }
}
