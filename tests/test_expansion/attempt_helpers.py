"""The attempts that an expansion begins with."""

import os
import sys
import traceback

from pg2aug.expansion import Attempt, PlanRequest, make_draws, plan_expansion
from pg2aug.expansion.work.attempts import Prepared, prepare, synthesize


def first_attempts(job, count, seed=0):
    request = PlanRequest(count)
    items = plan_expansion(*make_draws(job.sources, job.bank, request, seed), request).items
    return [Attempt(n, 0, int(i['person']), int(i['pose'])) for n, i in enumerate(items)]


def run_attempts(job, attempts):
    """Make attempts in their order, in one generator call."""
    prepared = [prepare(job, attempt) for attempt in attempts]
    made = iter(synthesize(job, [item for item in prepared if isinstance(item, Prepared)]))
    return [next(made) if isinstance(item, Prepared) else item for item in prepared]


def outcomes(job, count, batch_size, seed=0):
    """What comes of the first attempts at so many items, in batches."""
    attempts = first_attempts(job, count, seed)
    batches = [attempts[i : i + batch_size] for i in range(0, count, batch_size)]
    return [outcome for batch in batches for outcome in run_attempts(job, batch)]


def source_image(job, outcome):
    """The image that an attempt began with."""
    return job.sources.read_image(job.sources.persons[outcome.attempt.person])


def fork(function, *arguments):
    """Call a function in a process of its own, which has everything imported: its process id."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        status = function(*arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def wait_for(child):
    """Exit status of a process; negative the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def tree(folder):
    """Contents of all files in a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }
