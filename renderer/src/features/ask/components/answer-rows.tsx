import type { AnswerRow } from "@wardline/api/wardline/console/v1/ask";
import { useWindow } from "../../../data/window-store.ts";
import { Button, formatQuantity, VerdictMark, visibleText } from "../../../ui/index.ts";
import { ROW_WORDS, reasonsText } from "../model/answer-words.ts";

/** For whom, on which ports, by which rule; each row leads to its line. */
export function AnswerRows({ rows, leftOut }: { readonly rows: readonly AnswerRow[]; readonly leftOut: number }) {
  if (rows.length === 0) return null;
  const hasPorts = rows.some(({ ports }) => ports !== "");
  return (
    <>
      <div className="ask-table">
        <table className="ask-rows">
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col">Whom</th>
              {hasPorts ? <th scope="col">Ports</th> : null}
              <th scope="col">Why</th>
              <th scope="col">Where</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: an answer never changes, and two rows can read the same.
              <tr key={index}>
                <td>
                  <RowKind row={row} />
                </td>
                <td className="wrap-anywhere">
                  {row.key === "" ? (
                    <>
                      {visibleText(row.from)} → {visibleText(row.to)}
                    </>
                  ) : (
                    visibleText([row.key, row.rule].filter(Boolean).join(", "))
                  )}
                </td>
                {hasPorts ? <td className="code">{visibleText(row.ports)}</td> : null}
                <td className="soft wrap-anywhere">{visibleText(row.detail || reasonsText(row.reasons))}</td>
                <td>
                  <RowPlace row={row} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {leftOut > 0 ? <p className="soft">{formatQuantity(leftOut, "more row")} not shown. Ask about fewer.</p> : null}
    </>
  );
}

function RowKind({ row }: { readonly row: AnswerRow }) {
  const { word, shape } = ROW_WORDS[row.kind];
  return shape === null ? <span className="soft">{word}</span> : <VerdictMark verdict={shape} words={word} />;
}

function RowPlace({ row }: { readonly row: AnswerRow }) {
  const openFile = useWindow((state) => state.openFile);
  if (row.file === "") return null;
  const place = `${visibleText(row.file)}:${row.line}`;
  return (
    <Button
      tone="quiet"
      size="small"
      aria-label={`Open ${place}`}
      onPress={() => openFile(row.file, row.line, row.column)}
    >
      {place}
    </Button>
  );
}
