import { Button } from "./button";
import { aligned, csv, type Line, thinned } from "./chart-data";
import { Dialog } from "./dialog";
import { TableRegion } from "./layout";

const MOST_ROWS = 200;

interface ChartTableProps {
  title: string;
  lines: readonly Line[];
  nameX: string;
  sayY: (value: number) => string;
  onClose: () => void;
}

/** The numbers of a chart, for those who do not look at curves. */
export function ChartTable({ title, lines, nameX, sayY, onClose }: ChartTableProps) {
  const [x, ...columns] = aligned(lines);
  const rows = thinned(
    x.map((at, index) => ({ at, values: columns.map((column) => column[index] ?? null) })),
    MOST_ROWS,
  );

  function download(): void {
    const table = x.map((at, index) => [at, ...columns.map((column) => column[index] ?? null)]);
    const text = csv([nameX, ...lines.map((line) => line.label)], table);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = `${title.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  return (
    <Dialog title={title} wide onClose={onClose}>
      {rows.length < x.length && (
        <p class="muted">
          {rows.length} of {x.length} points, evenly over the run; the file has all of them.
        </p>
      )}
      <div class="chart-table">
        <TableRegion label={`${title}, values`}>
          <table class="table num">
            <thead>
              <tr>
                <th scope="col">{nameX}</th>
                {lines.map((line) => (
                  <th key={line.label} scope="col" class="end">
                    {line.label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.at}>
                  <th scope="row">{Number(row.at.toFixed(2))}</th>
                  {row.values.map((value, index) => (
                    <td key={lines[index]!.label} class="end">
                      {value === null ? "–" : sayY(value)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </TableRegion>
      </div>
      <div class="actions">
        <Button onClick={download}>Download CSV</Button>
        <Button kind="primary" onClick={onClose}>
          Close
        </Button>
      </div>
    </Dialog>
  );
}
