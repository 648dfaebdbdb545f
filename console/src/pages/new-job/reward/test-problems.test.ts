import { expect, it } from "vitest";
import type { TestReceipt, TestSample } from "../../../lib/rewards";
import { blocksOf } from "./documentation";
import { joined } from "./sampling";
import { problemsIn } from "./test-problems";

const sample = (change: Partial<TestSample>): TestSample => ({
  row: 0,
  completion: "",
  reward: null,
  held_out: null,
  components: {},
  metrics: {},
  verdict: "error",
  message: "",
  details: {},
  receipt: 0,
  ...change,
});
const receipt = (stderr: string) => ({ stderr }) as TestReceipt;

it("code that does not load is marked at its line", () => {
  const problem = "/var/task/lambda_function.py, line 3: loading the file failed with SyntaxError.";
  expect(problemsIn({ problem, samples: [], receipts: [] })).toEqual([{ line: 3, message: problem }]);
});

it("a traceback marks the innermost line of the code, once", () => {
  const trace =
    'File "/var/task/lambda_function.py", line 4, in f\nFile "/var/task/lambda_function.py", line 9, in g\n';
  const samples = [sample({ message: "ValueError: no" }), sample({ message: "ValueError: no" })];
  expect(problemsIn({ problem: null, samples, receipts: [receipt(trace)] })).toEqual([
    { line: 9, message: "ValueError: no" },
  ]);
});

it("two tests are joined with their rows and receipts kept apart", () => {
  const one = { rows: [], samples: [sample({})], receipts: [receipt("a")] };
  const first = { ...one, rows: [{ id: "1", prompt: "", reference_answer: null, row: null }] };
  const both = joined(first, { ...first, samples: [sample({ completion: "b" })] });
  expect(both.samples.map((entry) => [entry.row, entry.receipt, entry.completion])).toEqual([
    [0, 0, ""],
    [1, 1, "b"],
  ]);
});

it("documentation is reflowed but for what is indented", () => {
  expect(blocksOf("One\ntwo.\n\n    a  1\n    b  2\n\nThree.")).toEqual([
    { isVerbatim: false, text: "One two." },
    { isVerbatim: true, text: "a  1\nb  2" },
    { isVerbatim: false, text: "Three." },
  ]);
});
