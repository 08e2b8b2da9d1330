import type { MeshHealingStatus } from "@wardline/api/wardline/console/v1/mesh";
import { formatCount, visibleText } from "../../../ui/index.ts";
import { ACTION_NAMES, FAULT_NAMES, repairTimeText } from "../model/healing-words.ts";

/** What worked here so far. Only verified outcomes count. */
export function KnowledgeTable({ healing }: { healing: readonly MeshHealingStatus[] }) {
  const rows = healing.flatMap(({ coordinator, knowledge }) => knowledge.map((entry) => ({ coordinator, entry })));
  return (
    <section className="mesh-section" aria-labelledby="mesh-knowledge">
      <h2 id="mesh-knowledge">What worked so far</h2>
      {rows.length === 0 ? (
        <p className="soft">
          Nothing was tried yet. Each action that is tried is counted here with whether it helped, measured; what helped
          more often is tried first the next time.
        </p>
      ) : (
        <table className="mesh-table">
          <thead>
            <tr>
              <th scope="col">Fault</th>
              <th scope="col">Action</th>
              <th scope="col">Healed</th>
              <th scope="col">Median time to repair</th>
              {healing.length > 1 ? <th scope="col">Where</th> : null}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ coordinator, entry }) => (
              <tr key={`${coordinator} ${entry.fault} ${entry.action}`}>
                <td>{FAULT_NAMES[entry.fault]}</td>
                <td>{ACTION_NAMES[entry.action]}</td>
                <td>
                  {formatCount(entry.healed)} of {formatCount(entry.tried)}
                </td>
                <td>{repairTimeText(entry.medianTimeToRepair) ?? "not measured"}</td>
                {healing.length > 1 ? <td className="wrap-anywhere">{visibleText(coordinator)}</td> : null}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
