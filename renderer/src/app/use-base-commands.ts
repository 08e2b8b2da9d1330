/** What the window itself offers in the palette: views, what can be done, hosts, policies, files, findings and settings. */

import { useQuery } from "@connectrpc/connect-query";
import { HostService } from "@wardline/api/wardline/console/v1/hosts";
import { definitionOf, SETTING_KEYS } from "@wardline/domain/settings";
import { useEffect, useRef } from "react";
import { type Command, registerCommands } from "../data/command-registry.ts";
import { useConsole, useHostsStream, useWorkspaceStream } from "../data/context.tsx";
import { changeSettings, type SettingKey, type SettingsValues, type Theme } from "../data/settings.ts";
import { useWindow, VIEWS } from "../data/window-store.ts";
import { SEVERITY_NAMES, visibleText } from "../ui/index.ts";
import { decideOnlyPending, pendingOnHosts, VIEW_NAMES } from "./commands.ts";
import {
  addHostsRefusal,
  askRefusal,
  decideRefusal,
  settingRefusal,
  shipRefusal,
  type WhatIsThere,
} from "./unavailable.ts";

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
  const session = useQuery(HostService.method.getSession, {}, { staleTime: Number.POSITIVE_INFINITY });
  const isSessionReadOnly = session.data?.readOnly ?? false;
  const latest = useRef({ hosts, files, isReadOnly: isSessionReadOnly });
  latest.current = { hosts, files, isReadOnly: isSessionReadOnly };
  useEffect(
    () =>
      registerCommands("window", () => {
        const { hosts: known, files: listed, isReadOnly } = latest.current;
        const { goTo, show, openFile, openHost, openHistory, openFinding, openAsk, set, isFrozen } =
          useWindow.getState();
        const close = () => show("none");
        const waiting = pendingOnHosts(connection).length;
        const there: WhatIsThere = {
          hosts: known,
          fileCount: listed?.length ?? null,
          isAway: connection.hosts.getState().status === "stale",
          isReadOnly,
          waiting,
          waitingWithCluster: (known?.pending.length ?? 0) - waiting,
        };
        const commands: Command[] = [];
        const decide = (decision: "keep" | "roll-back") => () => {
          close();
          decideOnlyPending(connection, decision);
        };
        const disabledReason = decideRefusal(there);
        commands.push(
          {
            id: "keep",
            group: waiting > 0 ? "Now" : "Do",
            title: "Keep the generation that waits",
            keyId: "pending.keep",
            disabledReason,
            run: decide("keep"),
          },
          {
            id: "rollback",
            group: waiting > 0 ? "Now" : "Do",
            title: "Roll back the generation that waits",
            keyId: "pending.roll-back",
            disabledReason,
            run: decide("roll-back"),
          },
        );
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
            disabledReason: askRefusal(there),
            run: () => openAsk(""),
          },
          {
            id: "ship",
            group: "Do",
            title: "Review and apply the workspace…",
            keyId: "ship.open",
            isDangerous: true,
            disabledReason: shipRefusal(there),
            run: () => show("ship"),
          },
          {
            id: "history",
            group: "Do",
            title: "History: versions and receipts",
            disabledReason: askRefusal(there),
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
          {
            id: "add-hosts",
            group: "Do",
            title: "Add hosts…",
            disabledReason: addHostsRefusal(there),
            run: () => show("add-hosts"),
          },
          {
            id: "shortcuts",
            group: "Do",
            title: "Keyboard shortcuts",
            keyId: "window.shortcuts",
            run: () => show("shortcuts"),
          },
        );
        const display = <Key extends SettingKey>(
          id: string,
          title: string,
          key: Key,
          value: SettingsValues[Key],
        ): Command => ({
          id,
          group: "Display",
          title,
          disabledReason: settingRefusal(key),
          run: () => {
            close();
            void changeSettings({ [key]: value });
          },
        });
        for (const [theme, title] of THEMES) commands.push(display(`theme:${theme}`, title, "display.theme", theme));
        commands.push(
          display("density:compact", "Compact rows", "display.density", "compact"),
          display("density:comfortable", "Comfortable rows", "display.density", "comfortable"),
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
        for (const { finding } of connection.activity.getState().value?.anomalies?.anomalies ?? []) {
          if (!finding) continue;
          commands.push({
            id: `finding:${finding.id}`,
            group: "Anomalies",
            title: visibleText(`Finding: ${finding.sentence}`),
            detail: `${SEVERITY_NAMES[finding.severity]} · ${visibleText(finding.host)}`,
            words: `${finding.process} ${finding.subjectKey} ${finding.remote}`,
            run: () => openFinding(finding.id),
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
