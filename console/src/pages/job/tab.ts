/** What a tab of the job's page is given; each is the default export of `pages/job/TAB/index.tsx`. */

import type { Signal } from "@preact/signals";
import type { JobDetail } from "./detail";
import type { MetricStore } from "./metrics";

export interface TabProps {
  job: JobDetail;
  /** Fetch the job again, after something was done to it. */
  reload: () => void;
  /** Grows with every message and state of the job that is told live; read it to know when to look again. */
  pulse: Signal<number>;
  /** Numbers of its steps and evaluations, kept up to date. */
  metrics: MetricStore;
}
