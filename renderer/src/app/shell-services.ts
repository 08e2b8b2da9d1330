import type { Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { ConsoleConnection } from "../data/console-connection.ts";
import { DraftStore } from "../data/draft-store.ts";
import { connectSettings, useSettings } from "../data/settings.ts";
import { followTimeDisplay } from "./use-look.ts";

/** The same address serves both shells: `http://127.0.0.1:port/rpc` and `app://wardline/rpc`. */
export function backendTransport(): Transport {
  // Binary: a page of rows as JSON takes both ends several times as long to write and to read.
  return createConnectTransport({ baseUrl: `${location.origin}/rpc`, useBinaryFormat: true });
}

/** Joins the window's parts on one transport. */
export function createServices(transport: Transport) {
  const connection = new ConsoleConnection(transport);
  const drafts = new DraftStore({
    read: (path) => connection.policies.getFile({ path }),
    write: (path, text, baseRevision) => connection.policies.saveFile({ path, text, baseRevision }),
    storage: localStorage,
  });
  followTimeDisplay();
  followSettings(connection);
  return { connection, drafts };
}

/** For as long as the page lives: the file and this window follow each other. */
function followSettings(connection: ConsoleConnection): void {
  connectSettings(async (values, replaceBroken) => {
    const { state } = await connection.settings.setSettings({ values, replaceBroken });
    return state;
  });
  connection.activity.subscribe(() => {
    const state = connection.activity.getState().value?.settings;
    if (state && state !== useSettings.getState().state) useSettings.getState().receive(state);
  });
}
