import { useState } from "react";
import { useHostsStream } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { ChoiceCards, Sheet } from "../../../ui/index.ts";
import { AddByHand } from "./add-by-hand.tsx";
import { AddFromConfig } from "./add-from-config.tsx";
import { AddFromFile } from "./add-from-file.tsx";
import "./add-hosts-sheet.css";

type Way = "hand" | "config" | "file";

/** Machines come by hand, from ~/.ssh/config, or from an inventory file. Nothing happens on them by being added. */
export function AddHostsSheet() {
  const { overlay, show, openHost } = useWindow();
  const [way, setWay] = useState<Way>("hand");
  const hosts = useHostsStream().value?.hosts ?? [];
  const known = {
    groups: [...new Set(hosts.flatMap((host) => host.groups))].sort(),
    environments: [...new Set(hosts.flatMap((host) => host.environment?.name ?? []))].sort(),
  };
  const onAdded = (hostIds: readonly string[]) => {
    const [first] = hostIds;
    if (first === undefined) show("none");
    else openHost(first);
  };
  return (
    <Sheet shape="drawer" title="Add hosts" isOpen={overlay === "add-hosts"} onClose={() => show("none")}>
      <div className="add-hosts">
        <ChoiceCards<Way>
          label="From where"
          value={way}
          onChange={setWay}
          choices={[
            { value: "hand", label: "By hand", detail: "One machine, checked step by step before it is added." },
            { value: "config", label: "From ~/.ssh/config", detail: "The machines that your ssh knows already." },
            { value: "file", label: "From an inventory", detail: "YAML, an Ansible inventory, or lines of user@host." },
          ]}
        />
        {way === "hand" ? <AddByHand known={known} onAdded={onAdded} /> : null}
        {way === "config" ? <AddFromConfig onAdded={onAdded} /> : null}
        {way === "file" ? <AddFromFile onAdded={onAdded} /> : null}
      </div>
    </Sheet>
  );
}
