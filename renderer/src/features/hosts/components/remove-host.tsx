import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { isConnected } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, ChoiceCards, FailureNotice, Sheet, visibleText } from "../../../ui/index.ts";
import "./add-hosts-sheet.css";

type Way = "forget" | "uninstall";

/** Two different things, told apart: this console forgets the machine, or the agent leaves it. */
export function RemoveHost({ host, onDone }: { host: Host; onDone: () => void }) {
  const { connection } = useConsole();
  const set = useWindow((state) => state.set);
  const [way, setWay] = useState<Way>("forget");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const name = visibleText(host.name);
  const run = async () => {
    setFailure(null);
    try {
      if (way === "forget") {
        await connection.fleet.removeHost({ hostId: host.id });
        set({ hostId: null });
      } else await connection.fleet.uninstallAgent({ hostIds: [host.id] });
      onDone();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <Sheet
      shape="dialog"
      title={`Remove ${name}`}
      isOpen
      onClose={onDone}
      footer={
        <>
          <Button tone={way === "uninstall" ? "danger" : "plain"} onPress={() => void run()}>
            {way === "forget" ? `Forget ${name}` : `Uninstall the agent from ${name}`}
          </Button>
          <span className="host-dialog-rest" />
          <Button onPress={onDone}>Cancel</Button>
        </>
      }
    >
      <div className="add-hosts">
        <ChoiceCards<Way>
          label="What is removed"
          value={way}
          onChange={setWay}
          choices={[
            {
              value: "forget",
              label: "From this console only",
              detail:
                "The machine keeps its agent and goes on enforcing what it enforces. Its flows stay in the history.",
            },
            {
              value: "uninstall",
              label: "The agent from the machine",
              detail: isConnected(host)
                ? "Enforcement ends there: every connection passes. Programs, units and records are removed."
                : "It has to be reachable for that. Enforcement ends there, and everything of Wardline is removed.",
            },
          ]}
        />
        {failure ? <FailureNotice failure={failure} /> : null}
      </div>
    </Sheet>
  );
}
