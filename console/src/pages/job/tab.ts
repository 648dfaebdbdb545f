/** What a tab of the job's page is given; each is the default export of `pages/job/TAB/index.tsx`. */

import type { Signal } from "@preact/signals";
import type { JobCard } from "../../lib/jobs";

export interface TabProps {
  job: JobCard;
  /** Fetch the card again, after something was done to the job. */
  reload: () => void;
  /** Grows with every event of the job that is told live; read it to know when to look again. */
  pulse: Signal<number>;
}
