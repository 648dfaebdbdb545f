import { Button } from "./button";

/** For lists that come in pages by cursor. */
export function LoadMore({ hasMore, busy, onMore }: { hasMore: boolean; busy: boolean; onMore: () => void }) {
  if (!hasMore) return null;
  return (
    <div class="row" style={{ justifyContent: "center", padding: "var(--space-3)" }}>
      <Button busy={busy} onClick={onMore}>
        Show more
      </Button>
    </div>
  );
}
