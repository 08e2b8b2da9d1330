import { type ClusterStatus, StoreKind } from "@wardline/api/wardline/v1/cluster";
import { formatBytes, formatCount, VerdictMark, visibleText } from "../../../ui/index.ts";

/** The endpoints of the store as the asked member sees them. */
export function StoreSection({ status }: { status: ClusterStatus }) {
  return (
    <section className="cluster-section" aria-labelledby="cluster-store">
      <h2 id="cluster-store">Store: {status.store === StoreKind.ETCD ? "etcd" : "embedded"}</h2>
      {status.store === StoreKind.EMBEDDED ? (
        <p className="soft">
          A file on {visibleText(status.self)}. It survives restarts, not the loss of the host:{" "}
          <code>wardline cluster backend set</code> carries everything over to etcd.
        </p>
      ) : null}
      <table className="cluster-table">
        <thead>
          <tr>
            <th scope="col">Endpoint</th>
            <th scope="col">State</th>
            <th scope="col">Answer</th>
            <th scope="col">Version</th>
            <th scope="col">Raft</th>
            <th scope="col">Size</th>
          </tr>
        </thead>
        <tbody>
          {status.endpoints.map((endpoint) => {
            const leads = endpoint.leaderId !== "" && endpoint.leaderId === endpoint.memberId;
            return (
              <tr key={endpoint.endpoint}>
                <td className="wrap-anywhere">
                  <code>{visibleText(endpoint.endpoint)}</code>
                </td>
                <td>
                  <VerdictMark
                    verdict={endpoint.reachable ? (endpoint.alarms.length > 0 ? "observed" : "allow") : "deny"}
                    words={endpoint.reachable ? (leads ? "leads the store" : "follows") : "out of reach"}
                  />
                  {endpoint.alarms.length > 0 ? <p>{endpoint.alarms.map(visibleText).join(", ")}</p> : null}
                  {endpoint.problem ? <p className="soft wrap-anywhere">{visibleText(endpoint.problem)}</p> : null}
                </td>
                <td className="nowrap">
                  {endpoint.reachable ? `${(Number(endpoint.latencyUs) / 1000).toFixed(1)} ms` : "–"}
                </td>
                <td>{visibleText(endpoint.serverVersion) || "–"}</td>
                <td className="nowrap">
                  {endpoint.reachable ? `term ${endpoint.raftTerm}, index ${formatCount(endpoint.raftIndex)}` : "–"}
                </td>
                <td className="nowrap">{endpoint.reachable ? formatBytes(endpoint.databaseBytes) : "–"}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
