import { proposePeerAddress } from "@wardline/domain/cluster";
import { useState } from "react";
import { useConsole, useHostsStream } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { Button, FailureNotice, Select, Sheet, TextField, visibleText } from "../../../ui/index.ts";

/** The first member: an authority for certificates, an identity, and a store on that host until etcd takes over. */
export function CreateCluster({ hostIds, onDone }: { hostIds: readonly string[]; onDone: () => void }) {
  const { connection } = useConsole();
  const hosts = (useHostsStream().value?.hosts ?? []).filter(({ id }) => hostIds.includes(id));
  const [chosen, setChosen] = useState(hosts[0]?.id ?? "");
  const host = hosts.find(({ id }) => id === chosen);
  const [name, setName] = useState("");
  const [address, setAddress] = useState<string | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isBusy, setBusy] = useState(false);
  const peerAddress = address ?? proposePeerAddress(host?.status?.info?.addresses ?? []) ?? "";
  const isNameRight = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name);
  const make = async () => {
    // Not by a disabled button: that would take the focus out of the dialog.
    if (isBusy) return;
    setBusy(true);
    setFailure(null);
    try {
      await connection.clusters.createCluster({ hostId: chosen, cluster: { clusterName: name, peerAddress } });
      onDone();
    } catch (error) {
      setFailure(shownFailure(error));
      setBusy(false);
    }
  };
  return (
    <Sheet
      shape="dialog"
      title="Make a cluster"
      isOpen
      onClose={onDone}
      footer={
        <>
          <Button tone="primary" isDisabled={!isNameRight || !host || peerAddress === ""} onPress={() => void make()}>
            Make the cluster{host ? ` on ${visibleText(host.name)}` : ""}
          </Button>
          <Button onPress={onDone}>Cancel</Button>
        </>
      }
    >
      <div className="cluster-form">
        <TextField
          label="Name"
          value={name}
          onChange={setName}
          placeholder="office"
          hint="Letters a to z, digits and -; it becomes part of every certificate."
          isInvalid={name !== "" && !isNameRight}
        />
        <Select
          label="First member"
          value={chosen}
          onChange={(id) => {
            setChosen(id);
            setAddress(null);
          }}
          choices={hosts.map(({ id, name: hostName }) => ({ value: id, label: visibleText(hostName) }))}
        />
        <TextField
          label="Where the other members reach it"
          isCode
          value={peerAddress}
          onChange={setAddress}
          hint="Its agent listens there, with mutual TLS. Policies have to let the members through."
        />
        <p className="soft">
          Nothing changes in what the host enforces. The agreed state lies on this host until{" "}
          <code>wardline cluster backend set</code> moves it to etcd; then other hosts can join.
        </p>
        {failure ? <FailureNotice failure={failure} /> : null}
      </div>
    </Sheet>
  );
}
