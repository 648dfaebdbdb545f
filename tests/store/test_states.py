"""A job goes only where the table of states says, whatever happens to it and in which order."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.some_jobs import MINE, NEW

from tuneward.jobs.problems import ConflictError
from tuneward.jobs.service import JobService, UserAction, enter, find_job
from tuneward.jobs.states import ACTIVE, STATES, TERMINAL, TRANSITIONS, Action, State, after
from tuneward.store.database import Database
from tuneward.store.tables import Job

USER_ACTIONS: tuple[UserAction, ...] = (Action.CANCEL, Action.PAUSE, Action.RESUME, Action.STOP)

EXPECTED = {
    "validating": "cancel:cancelled stop:stopped validated:queued failed:failed",
    "queued": "cancel:cancelled pause:paused stop:stopped started:running failed:failed",
    "running": "cancel:cancelled pause:pausing stop:stopping released:queued finished:succeeded failed:failed",
    "pausing": "cancel:cancelled stop:stopping yielded:paused finished:succeeded failed:failed",
    "paused": "cancel:cancelled stop:stopped resume:queued",
    "stopping": "cancel:cancelled yielded:stopped finished:succeeded failed:failed",
    "succeeded": "",
    "failed": "",
    "cancelled": "",
    "stopped": "",
}
"""The table once more, written from the contracts, so that a slip in one of the two is seen."""


def put(database: Database, job: Job, state: State) -> None:
    database.write(lambda session: enter(session, session.get_one(Job, job.id), state))


@pytest.mark.parametrize(("state", "action"), list(product(STATES, Action)))
def test_every_action_in_every_state_is_as_it_should_be(state: State, action: Action) -> None:
    ways = dict(way.split(":") for way in EXPECTED[state].split())
    assert after(state, action) == ways.get(action.value)


def test_every_state_can_be_reached_and_left() -> None:
    assert set(get_args(State)) == set(STATES)
    reached: set[State] = {"validating"}
    while (more := reached | {end for state in reached for end in TRANSITIONS[state].values()}) != reached:
        reached = more
    assert reached == set(STATES)
    for state in set(STATES) - TERMINAL:
        assert after(state, Action.CANCEL) == "cancelled"
    assert not ACTIVE & TERMINAL


def test_users_get_exactly_what_the_table_allows(jobs: JobService, database: Database) -> None:
    job = jobs.create(MINE, NEW)
    for state, action in product(STATES, USER_ACTIONS):
        put(database, job, state)
        events = len(jobs.events(MINE.project_id, job.id, limit=200).items)
        if (expected := after(state, action)) is None:
            with pytest.raises(ConflictError, match=f"is {state}, so it cannot be"):
                jobs.act(MINE.project_id, job.id, action)
            expected = state
        else:
            jobs.act(MINE.project_id, job.id, action)
            events += 1
        assert jobs.get(MINE.project_id, job.id).state == expected
        assert len(jobs.events(MINE.project_id, job.id, limit=200).items) == events


class _Jobs(RuleBasedStateMachine):
    """Users and workers do whatever they like with one job."""

    database: Database
    service: JobService

    @initialize()
    def create(self) -> None:
        self.job_id = self.service.create(MINE, NEW).id
        self.expected: State = "validating"

    @rule(action=st.sampled_from(USER_ACTIONS))
    def user_acts(self, action: UserAction) -> None:
        expected = after(self.expected, action)
        if expected is None:
            with pytest.raises(ConflictError):
                self.service.act(MINE.project_id, self.job_id, action)
        else:
            self.service.act(MINE.project_id, self.job_id, action)
            self.expected = expected

    @rule(action=st.sampled_from([action for action in Action if action not in USER_ACTIONS]))
    def worker_acts(self, action: Action) -> None:
        def work(session: Any) -> None:
            job = find_job(session, MINE.project_id, self.job_id, lock=True)
            if (state := after(job.state, action)) is not None:  # type: ignore[arg-type]
                enter(session, job, state)

        self.database.write(work)
        self.expected = after(self.expected, action) or self.expected

    @invariant()
    def it_is_where_the_table_says(self) -> None:
        job = self.service.get(MINE.project_id, self.job_id)
        assert job.state == self.expected
        assert (job.finished_at is not None) == (job.state in TERMINAL)
        assert job.updated_at >= job.created_at


@pytest.mark.usefixtures("jobs")
def test_no_order_of_actions_leads_out_of_the_table(database: Database) -> None:
    _Jobs.database, _Jobs.service = database, JobService(database, active_jobs=10**6)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        _Jobs, settings=settings(max_examples=20, stateful_step_count=15, deadline=None, derandomize=True)
    )
