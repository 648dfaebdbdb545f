import { may } from "../../lib/session";
import { LinkButton } from "../../ui/button";
import { Icon } from "../../ui/icon";

const NEEDED = [
  {
    title: "Prompts",
    text: "A JSONL file with what the model is to answer: 100 to 1,000 varied rows are a good start. Logged calls of a model do as well.",
  },
  {
    title: "A reward",
    text: "What tells a good answer from a bad one: a ready-made template, your own Python function, or a model as the judge.",
  },
  {
    title: "A base model",
    text: "One that answers at least some of the prompts well: training makes more likely what is already possible.",
  },
] as const;

/** Before there is any job: what one needs, and where to begin. */
export function FirstJob() {
  return (
    <div class="panel jobs-first">
      <h2>Tune your first model</h2>
      <p class="muted">
        A job samples several completions for every prompt, scores them with your reward, and makes the better ones more
        likely. It needs three things:
      </p>
      <ol class="jobs-needed">
        {NEEDED.map((one, index) => (
          <li key={one.title}>
            <span class="jobs-number" aria-hidden="true">
              {index + 1}
            </span>
            <div>
              <h3>{one.title}</h3>
              <p class="muted">{one.text}</p>
            </div>
          </li>
        ))}
      </ol>
      {may("developer") ? (
        <div class="row">
          <LinkButton href="/new" kind="primary">
            <Icon name="new" />
            New job
          </LinkButton>
          <span class="muted">Data and reward are checked before anything is trained.</span>
        </div>
      ) : (
        <p class="muted">Your key may only look. To start a job, sign in with a developer's key.</p>
      )}
    </div>
  );
}
