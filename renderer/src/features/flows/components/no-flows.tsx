import { ListFilter, Pause } from "lucide-react";
import { useHostsStream } from "../../../data/context.tsx";
import { isConnected, isObserveOnly } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, EmptyState, visibleText } from "../../../ui/index.ts";

/** Why there is nothing to see: no agent, a backend that sees nothing, a filter, or simply no traffic yet. */
export function NoFlows({ hasFilter }: { hasFilter: boolean }) {
  const { set, openHost } = useWindow();
  const hosts = useHostsStream().value?.hosts ?? [];
  const silent = hosts.find((host) => !isConnected(host));
  const observing = hosts.find(isObserveOnly);
  const picture = <Pause size={36} strokeWidth={1.2} />;
  if (hasFilter) {
    return (
      <EmptyState
        picture={<ListFilter size={36} strokeWidth={1.2} />}
        title="No flow matches the filter"
        action={
          <>
            <Button onPress={() => set({ flowText: "" })}>Clear the filter</Button>
            <Button onPress={() => set({ flowsMode: "history" })}>Ask the history</Button>
          </>
        }
      >
        New ones appear here as soon as they match.
      </EmptyState>
    );
  }
  if (silent) {
    return (
      <EmptyState
        picture={picture}
        title={`No flows: ${visibleText(silent.name)} is not heard`}
        action={<Button onPress={() => openHost(silent.id)}>See why</Button>}
      >
        {visibleText(silent.problem?.message ?? "The agent does not answer.")}
      </EmptyState>
    );
  }
  if (observing) {
    return (
      <EmptyState
        picture={picture}
        title="This backend cannot see flows"
        action={<Button onPress={() => openHost(observing.id)}>See what is missing</Button>}
      >
        {visibleText(observing.name)} runs the observe backend: without a program in the kernel there is nothing that
        could report a flow.
      </EmptyState>
    );
  }
  return (
    <EmptyState picture={picture} title="No flows yet">
      Every new connection of a host with an applied policy appears here, with the rule that decided. Apply a policy, in
      observe mode if you like, to begin.
    </EmptyState>
  );
}
