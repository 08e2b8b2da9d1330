/** `wardline note …`: notes that the consoles of a cluster share. */
import type { Command } from "commander";
import type { Runner } from "../registration.ts";
import { type ClusterOptions, withHost } from "./cluster.options.ts";

const SUBJECT_HELP = `
A subject is host/NAME, document/KEY (document/policy/default/web) or view/NAME. An empty text removes the note. Where the
cluster cannot be reached, the note is kept here and told to it later.`;

export function addNote(program: Command, runner: Runner): void {
  const note = program.command("note").description("notes about hosts, documents and views, shared by all consoles");
  withHost(note.command("list"))
    .description("all notes of the cluster")
    .action((options: ClusterOptions) =>
      runner.run(options, async (output) => {
        const { noteList } = await import("./note.ts");
        return noteList(output, options);
      }),
    );
  withHost(note.command("set"))
    .description("write a note")
    .argument("<subject>", "what it is about")
    .argument("<text>", `up to 4,000 characters; "-" = from standard input`)
    .addHelpText("after", SUBJECT_HELP)
    .action((subject: string, text: string, options: ClusterOptions) =>
      runner.run(options, async (output) => {
        const { noteSet } = await import("./note.ts");
        return noteSet(output, options, subject, text);
      }),
    );
}
