/** What the window itself offers in the palette: views, what can be done, hosts, policies, files, findings and settings. */

import { definitionOf, SETTING_KEYS } from "@wardline/domain/settings";
import { useEffect, useRef } from "react";
import { type Command, registerCommands } from "../data/command-registry.ts";
import { useConsole, useHostsStream, useWorkspaceStream } from "../data/context.tsx";
import { mayOperate } from "../data/hosts-snapshot.ts";
import { changeSettings, type Theme } from "../data/settings.ts";
import { useWindow, VIEWS } from "../data/window-store.ts";
import { visibleText } from "../ui/index.ts";
import { decideOnlyPending, VIEW_NAMES } from "./commands.ts";

const THEMES: readonly (readonly [Theme, string])[] = [
  ["system", "System theme"],
  ["dark", "Dark theme"],
  ["light", "Light theme"],
  ["contrast", "High-contrast theme"],
];
const SHOWN_FLOWS = 300;

/** Registers them; the source reads what is there when the palette opens. */
export function useBaseCommands(): void {
  const { connection } = useConsole();
  const hosts = useHostsStream().value;
  const files = useWorkspaceStream().value?.files;
  const latest = useRef({ hosts, files });
  latest.current = { hosts, files };
  useEffect(
    () =>
      registerCommands("window", () => {
        const { hosts: known, files: listed } = latest.current;
        const { goTo, show, openFile, openHost, openHistory, openAsk, set, isFrozen } = useWindow.getState();
        const close = () => show("none");
        const operable = (known?.hosts ?? []).some(mayOperate);
        const disabledReason =
          known && !operable ? "Your role on every host is viewer: it takes an operator to change one." : null;
        const waits = (known?.pending.length ?? 0) > 0;
        const commands: Command[] = [];
        if (waits) {
          const decide = (decision: "keep" | "roll-back") => () => {
            close();
            decideOnlyPending(connection, decision);
          };
          commands.push(
            {
              id: "keep",
              group: "Now",
              title: "Keep the generation that waits",
              keyId: "pending.keep",
              disabledReason,
              run: decide("keep"),
            },
            {
              id: "rollback",
              group: "Now",
              title: "Roll back the generation that waits",
              keyId: "pending.roll-back",
              disabledReason,
              run: decide("roll-back"),
            },
          );
        }
        for (const view of VIEWS) {
          commands.push({
            id: `view:${view}`,
            group: "Go to",
            title: VIEW_NAMES[view],
            keyId: `view.${view}`,
            run: () => goTo(view),
          });
        }
        commands.push(
          {
            id: "ask",
            group: "Do",
            title: "Ask about access",
            words: "question who can reach why",
            keyId: "ask.open",
            run: () => openAsk(""),
          },
          {
            id: "ship",
            group: "Do",
            title: "Review and apply the workspace…",
            keyId: "ship.open",
            isDangerous: true,
            run: () => show("ship"),
          },
          {
            id: "history",
            group: "Do",
            title: "History: versions and receipts",
            run: () => {
              goTo("policies");
              show("history");
            },
          },
          {
            id: "freeze",
            group: "Do",
            title: isFrozen ? "Resume live rows" : "Freeze live rows",
            keyId: "window.freeze",
            run: () => {
              close();
              set({ isFrozen: !isFrozen });
            },
          },
          { id: "add-hosts", group: "Do", title: "Add hosts…", run: () => show("add-hosts") },
          {
            id: "shortcuts",
            group: "Do",
            title: "Keyboard shortcuts",
            keyId: "window.shortcuts",
            run: () => show("shortcuts"),
          },
        );
        const display = (id: string, title: string, change: Parameters<typeof changeSettings>[0]): Command => ({
          id,
          group: "Display",
          title,
          run: () => {
            close();
            void changeSettings(change);
          },
        });
        for (const [theme, title] of THEMES)
          commands.push(display(`theme:${theme}`, title, { "display.theme": theme }));
        commands.push(
          display("density:compact", "Compact rows", { "display.density": "compact" }),
          display("density:comfortable", "Comfortable rows", { "display.density": "comfortable" }),
        );
        for (const key of SETTING_KEYS) {
          const { title, help } = definitionOf(key);
          commands.push({
            id: `setting:${key}`,
            group: "Settings",
            title,
            detail: key,
            words: help,
            run: () => goTo("settings"),
          });
        }
        for (const host of known?.hosts ?? []) {
          commands.push({
            id: `host:${host.id}`,
            group: "Hosts",
            title: visibleText(host.name),
            detail: host.local ? "this machine" : "",
            run: () => openHost(host.id),
          });
        }
        for (const file of listed ?? []) {
          commands.push({
            id: `file:${file.path}`,
            group: "Files",
            title: visibleText(file.path),
            run: () => openFile(file.path),
          });
          for (const { key, kind, name, namespace, source } of file.documents) {
            const title = visibleText(namespace === "" ? name : `${namespace}/${name}`);
            const group = kind === "Host" || kind === "Workload" ? "Files" : "Policies";
            const detail = `${kind} · ${visibleText(file.path)}:${source?.line ?? 1}`;
            commands.push({
              id: `document:${file.path}:${key}`,
              group,
              title,
              detail,
              run: () => openFile(file.path, source?.line, source?.column),
            });
          }
        }
        for (const flow of (connection.flows.getState().value?.rows ?? []).slice(0, SHOWN_FLOWS)) {
          const ends = `${flow.sourceName || flow.sourceAddress} → ${flow.destinationName || flow.destinationAddress}`;
          commands.push({
            id: `flow:${flow.id}`,
            group: "Flows",
            title: visibleText(`${ends}:${flow.destinationPort}`),
            detail: visibleText(flow.decision?.summary ?? ""),
            words: `${flow.sourceAddress} ${flow.destinationAddress} ${flow.host}`,
            run: () => {
              goTo("flows");
              set({ flowsMode: "live", selectedFlowId: flow.id });
            },
          });
        }
        for (const { name, text } of savedQueries) {
          commands.push({
            id: `query:${name}`,
            group: "Saved queries",
            title: visibleText(name),
            detail: visibleText(text),
            run: () => openHistory(text),
          });
        }
        return commands;
      }),
    [connection],
  );
  useEffect(() => {
    const stop = new AbortController();
    connection.history
      .listSavedQueries({}, { signal: stop.signal })
      .then(({ queries }) => {
        savedQueries = queries.map(({ name, text }) => ({ name, text }));
      })
      .catch(() => {
        // Without them the palette has everything else; the view of the history says what is wrong.
      });
    return () => stop.abort();
  }, [connection]);
}

let savedQueries: readonly { readonly name: string; readonly text: string }[] = [];
