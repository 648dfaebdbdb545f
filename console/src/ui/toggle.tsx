import { Button } from "./button";
import { Icon } from "./icon";

interface RowToggleProps {
  isOpen: boolean;
  onToggle: () => void;
  /** Id of what is shown and hidden. */
  controls: string;
  /** What it is, said after "Show" or "Hide". */
  what: string;
}

/** The arrow at the beginning of a table's row that has more below it. */
export function RowToggle({ isOpen, onToggle, controls, what }: RowToggleProps) {
  return (
    <Button
      kind="quiet"
      size="small"
      class="icon-only"
      aria-expanded={isOpen}
      aria-controls={controls}
      aria-label={`${isOpen ? "Hide" : "Show"} ${what}`}
      onClick={onToggle}
    >
      <Icon name={isOpen ? "down" : "right"} />
    </Button>
  );
}

interface ShowAllProps {
  isWhole: boolean;
  onToggle: () => void;
  /** Id of what is folded. */
  controls: string;
  /** How much there is, such as "1,200 characters". */
  all: string;
}

/** Unfolds what is long, and folds it again. */
export function ShowAll({ isWhole, onToggle, controls, all }: ShowAllProps) {
  return (
    <div>
      <Button size="small" kind="quiet" aria-expanded={isWhole} aria-controls={controls} onClick={onToggle}>
        {isWhole ? "Show less" : `Show all ${all}`}
      </Button>
    </div>
  );
}
