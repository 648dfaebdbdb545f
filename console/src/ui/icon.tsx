/** The few icons there are, drawn on 16 by 16; always beside words or a label. */

const PATHS = {
  jobs: "M2 12.5 5.5 9l3 1.5L14 3.5",
  new: "M8 3v10M3 8h10",
  models: "M8 2 14 5.2v5.6L8 14l-6-3.2V5.2zM2 5.2l6 3.2 6-3.2M8 8.4V14",
  playground: "M2.5 3h11v8h-6l-3 2.5V11h-2z",
  functions: "M5.5 3.5 2 8l3.5 4.5M10.5 3.5 14 8l-3.5 4.5",
  settings: "M2 4.5h7M12 4.5h2M2 11.5h2M7 11.5h7M10.5 3v3M5.5 10v3",
  close: "M4 4l8 8M12 4l-8 8",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  left: "M10 4 6 8l4 4",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  check: "M3 8.5 6.5 12 13 4.5",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.5 10.5 14 14",
  download: "M8 2.5v7.5M5 7.5 8 10.5l3-3M3 13.5h10",
  upload: "M8 11V3M5 6l3-3 3 3M3 13.5h10",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg
      width="16"
      height="16"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
