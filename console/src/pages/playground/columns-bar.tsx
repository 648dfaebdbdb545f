import { useEffect, useState } from "preact/hooks";
import { Button } from "../../ui/button";
import { Icon } from "../../ui/icon";
import { MOST_COLUMNS } from "./conversation";
import { ModelPicker } from "./model-picker";
import { learnName, shortName } from "./names";
import type { Playground } from "./use-playground";

/** Who answers, in which order. */
export function ColumnsBar({ playground }: { playground: Playground }) {
  const { columns, isAsking } = playground;
  const [open, setOpen] = useState<string | null>(null);
  useEffect(() => {
    for (const column of columns) void learnName(column.model);
  }, [columns]);
  return (
    <section aria-label="Models" class="playground-columns" style={{ "--columns": Math.max(1, columns.length) }}>
      {columns.map((column, index) => (
        <div key={column.id} class="playground-column">
          <Button
            class="grow playground-model"
            disabled={isAsking}
            title={column.model}
            aria-label={`Model ${index + 1}: ${shortName(column.model)}. Change`}
            onClick={() => setOpen(column.id)}
          >
            <span class="truncate">{shortName(column.model)}</span>
            <Icon name="down" />
          </Button>
          {index < columns.length - 1 && (
            <Button
              kind="quiet"
              class="icon-only"
              disabled={isAsking}
              aria-label={`Move ${shortName(column.model)} to the right`}
              title="Move to the right"
              onClick={() => playground.moveColumn(column.id)}
            >
              <Icon name="right" />
            </Button>
          )}
          {columns.length > 1 && (
            <Button
              kind="quiet"
              class="icon-only"
              disabled={isAsking}
              aria-label={`Remove ${shortName(column.model)}`}
              title="Remove"
              onClick={() => playground.removeColumn(column.id)}
            >
              <Icon name="close" />
            </Button>
          )}
        </div>
      ))}
      {columns.length === 0 && <Button onClick={() => setOpen("new")}>Choose a model</Button>}
      {open && (
        <ModelPicker
          title={open === "new" ? "Add a model" : "Change the model"}
          onPick={(model) => (open === "new" ? playground.addColumn(model) : playground.setModel(open, model))}
          onClose={() => setOpen(null)}
        />
      )}
    </section>
  );
}

/** One more model beside the others. */
export function AddModel({ playground }: { playground: Playground }) {
  const { columns, isAsking } = playground;
  const [isOpen, setOpen] = useState(false);
  const isFull = columns.length >= MOST_COLUMNS;
  return (
    <>
      <Button
        disabled={isAsking || isFull}
        title={isFull ? `At most ${MOST_COLUMNS} models answer at once.` : undefined}
        onClick={() => setOpen(true)}
      >
        <Icon name="new" /> Add a model
      </Button>
      {isOpen && <ModelPicker title="Add a model" onPick={playground.addColumn} onClose={() => setOpen(false)} />}
    </>
  );
}
