import { timestampMs } from "@bufbuild/protobuf/wkt";
import { VerdictColumn, type VerdictVersion, type VersionHost } from "@wardline/api/wardline/console/v1/verdicts";
import { useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { formatQuantity, Moment, visibleText } from "../../../ui/index.ts";
import { COLUMNS, versionWords } from "../model/verdicts.ts";

const SHOWN = 4;

/** What stands behind each column: which version, since when, by whom, on how many hosts. */
export function VerdictVersions({ versions }: { versions: readonly VerdictVersion[] }) {
  return (
    <dl className="verdict-versions">
      {COLUMNS.map(({ key, column, name, means }) => {
        const own = versions.filter((version) => version.column === column);
        return (
          <div key={key} className="verdict-version-column">
            <dt title={means}>{name}</dt>
            {own.length === 0 ? <dd className="faint">{nothing(column)}</dd> : null}
            {own.slice(0, SHOWN).map((version) => (
              <VersionLine key={version.id} version={version} />
            ))}
            {own.length > SHOWN ? <dd className="faint">and {own.length - SHOWN} more</dd> : null}
          </div>
        );
      })}
    </dl>
  );
}

function nothing(column: VerdictColumn): string {
  if (column === VerdictColumn.STAGED) return "nothing is under way";
  return column === VerdictColumn.REPORTED ? "no records in the window" : "no host of this console";
}

function VersionLine({ version }: { version: VerdictVersion }) {
  const nowMs = useConsoleNow();
  const [host] = version.hosts;
  const [isOpen, setOpen] = useState(false);
  const deadline = version.hosts.find((one) => one.deadline)?.deadline;
  const where =
    version.hosts.length === 0
      ? ""
      : version.hosts.length === 1 && host
        ? `${visibleText(host.hostName)}${host.generation > 0n ? `, generation ${host.generation}` : ""}`
        : formatQuantity(version.hosts.length, "host");
  return (
    <dd className="wrap-anywhere" data-unknown={version.unknownBecause === "" ? undefined : ""}>
      <span>{versionWords(version)}</span>
      {where === "" ? null : version.hosts.length === 1 ? (
        <span className="soft"> · {where}</span>
      ) : (
        <>
          {" · "}
          <button type="button" className="link" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {where}
          </button>
        </>
      )}
      {version.time ? (
        <span className="faint">
          {" "}
          · <Moment timeMs={timestampMs(version.time)} nowMs={nowMs} form="short" />
          {version.author === "" ? "" : ` by ${visibleText(version.author)}`}
        </span>
      ) : null}
      {deadline ? (
        <span className="soft">
          {" "}
          · returns at <Moment timeMs={timestampMs(deadline)} form="clock" />
        </span>
      ) : null}
      {isOpen ? <HostLines hosts={version.hosts} nowMs={nowMs} /> : null}
    </dd>
  );
}

const SHOWN_HOSTS = 200;

/** Each host of a version: which generation it is there, and since when. */
function HostLines({ hosts, nowMs }: { readonly hosts: readonly VersionHost[]; readonly nowMs: number }) {
  return (
    <ul className="verdict-version-hosts">
      {hosts.slice(0, SHOWN_HOSTS).map(({ hostId, hostName, generation, since }) => (
        <li key={hostId} className="wrap-anywhere">
          {visibleText(hostName)}
          <span className="soft">
            {generation > 0n ? ` · generation ${generation}` : ""}
            {since ? (
              <>
                {" · since "}
                <Moment timeMs={timestampMs(since)} nowMs={nowMs} form="short" />
              </>
            ) : null}
          </span>
        </li>
      ))}
      {hosts.length > SHOWN_HOSTS ? (
        <li className="soft">and {formatQuantity(hosts.length - SHOWN_HOSTS, "more host")}</li>
      ) : null}
    </ul>
  );
}
