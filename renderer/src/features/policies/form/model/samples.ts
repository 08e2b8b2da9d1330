/** The samples that come with Wardline, with what their first comment says. */
import type { Template } from "./templates.ts";

const TEXTS = import.meta.glob<string>("../../../../../../assets/samples/*.yaml", {
  query: "?raw",
  import: "default",
  eager: true,
});

export const SAMPLES: readonly Template[] = Object.entries(TEXTS).map(([path, text]) => {
  const id = path.slice(path.lastIndexOf("/") + 1).replace(/\.yaml$/, "");
  const words = id.replaceAll("-", " ");
  return {
    id: `sample-${id}`,
    title: words.charAt(0).toUpperCase() + words.slice(1),
    detail: firstComment(text),
    text,
  };
});

/** The first paragraph of the comment at the top. */
function firstComment(text: string): string {
  const lines: string[] = [];
  for (const line of text.split("\n")) {
    if (!/^# \S/.test(line)) break;
    lines.push(line.slice(2));
  }
  return lines.join(" ");
}
