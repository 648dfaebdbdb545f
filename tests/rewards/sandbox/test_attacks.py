"""Code that attacks its sandbox: nothing gets out, the verdict says what happened, and grading goes on."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from tests.rewards.sandbox.scene import BOMB, SECRET, descendants, run, samples_of

from tuneward.types import Verdict

PROCESSES_OF_A_GRADER = 4
"""Keeper, bubblewrap outside, bubblewrap inside, the reward process."""

FRAMES = """
    import os, struct, sys
    def write_frame(content):
        for name in os.listdir("/proc/self/fd"):
            try:
                if os.readlink("/proc/self/fd/" + name).startswith("pipe:") and int(name) > 2:
                    os.write(int(name), struct.pack(">I", len(content)) + content)
            except OSError: pass
"""


def keepers(grader) -> list[int]:
    return [slot.process._popen.pid for slot in grader._caller._slots]


def test_a_fork_bomb_is_contained_while_others_are_graded(make_program_grader) -> None:
    grader = make_program_grader(workers=2, timeout_s=3.0)
    scores = grader.score(samples_of(BOMB, "pass", "reward = 3.0"))
    assert [score.receipt.verdict for score in scores] == [Verdict.TIMEOUT, Verdict.OK, Verdict.OK]
    assert [score.reward for score in grader.score(samples_of("pass", "pass"))] == [1.0, 1.0]
    assert all(len(descendants(keeper)) < PROCESSES_OF_A_GRADER for keeper in keepers(grader))


def test_the_number_of_processes_is_limited(patient) -> None:
    score = run(patient, "import os\nfor _ in range(300):\n    if os.fork() == 0: os.read(os.pipe()[0], 1)")
    assert score.receipt.verdict is Verdict.ERROR
    assert "raised BlockingIOError" in score.receipt.message


def test_a_process_that_is_left_behind_is_ended(patient) -> None:
    score = run(patient, "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(600)")
    assert score.reward == 1.0
    assert len(descendants(keepers(patient)[0])) < PROCESSES_OF_A_GRADER


@pytest.mark.parametrize(
    "code",
    [
        "x = bytearray(8 << 30)",
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nx = bytearray(8 << 30)",
    ],
    ids=["plainly", "after raising the limit"],
)
def test_eight_gigabytes_are_not_to_be_had(patient, code: str) -> None:
    receipt = run(patient, code).receipt
    assert receipt.verdict is Verdict.OOM or "not allowed to raise maximum limit" in receipt.message
    assert receipt.peak_memory_bytes < 1 << 30


def test_memory_counts_over_all_processes(patient) -> None:
    score = run(
        patient,
        """
        import os, signal
        for _ in range(20):
            if os.fork() == 0:
                block = bytearray(b"x") * (100 << 20)
                signal.pause()
        signal.pause()
        """,
    )
    assert score.receipt.verdict is Verdict.OOM


ENDLESS = {
    "loops": "while True: pass",
    "stops itself": "import os; os.kill(os.getpid(), 19)",
    "ignores signals": """
        import signal
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        while True: pass
    """,
    "keeps threads busy": """
        import threading
        def spin():
            while True: pass
        for _ in range(8): threading.Thread(target=spin).start()
        spin()
    """,
}


@pytest.mark.parametrize("case", ENDLESS)
def test_what_never_ends_is_ended(hasty, case: str) -> None:
    score = run(hasty, ENDLESS[case])
    assert score.receipt.verdict is Verdict.TIMEOUT


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import os; os._exit(7)", "ended with exit status 7"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("import os; os.killpg(0, 15)", "was killed by SIGTERM"),
        ("import ctypes; ctypes.string_at(0)", "was killed by SIGSEGV"),
    ],
)
def test_a_process_that_ends_itself_is_named(patient, code: str, text: str) -> None:
    score = run(patient, code)
    assert score.receipt.verdict is Verdict.ERROR
    assert text in score.receipt.message


@pytest.mark.parametrize(
    "code",
    [
        "import os\ntry: os.kill(-1, 9)\nexcept OSError: pass",
        "import os\ntry: os.kill(1, 9)\nexcept OSError: pass",
        "import os, signal\nfor n in (1, 2, 15):\n    try: os.kill(os.getppid(), n)\n    except OSError: pass",
        "import signal; signal.setitimer(signal.ITIMER_REAL, 30)",
    ],
    ids=["everyone", "the first process", "its parent", "later"],
)
def test_signals_reach_nobody_else(patient, code: str) -> None:
    before = keepers(patient)
    assert run(patient, code).reward == 1.0
    assert keepers(patient) == before


def test_a_gigabyte_on_standard_output_leaves_its_tail(patient) -> None:
    score = run(patient, "import os\nfor _ in range(1 << 10): os.write(1, bytes([120]) * (1 << 20))\nprint('end')")
    assert score.reward == 1.0
    assert score.receipt.stdout_tail.endswith("end\n")
    assert len(score.receipt.stdout_tail) <= 4096


def test_an_answer_on_standard_output_is_no_answer(patient) -> None:
    forged = """print('[{"id": "s-0", "aggregate_reward_score": 100}]', flush=True)\nreward = 0.25"""
    assert run(patient, forged).reward == 0.25


@pytest.mark.parametrize(
    "frame",
    ['b"x" * 99', 'b"A" + struct.pack(">I", 2) + b"{}"', 'b"A" + struct.pack(">I", 200000) + b"[" * 200000', 'b"L{}"'],
    ids=["nonsense", "an outcome of nothing", "an outcome of depth", "a second report"],
)
def test_a_forged_frame_ends_the_process(patient, frame: str) -> None:
    score = run(patient, f"{FRAMES}\n    write_frame({frame})".replace("\n    ", "\n"))
    assert score.receipt.verdict is Verdict.ERROR
    assert "wrote to descriptors that it had not opened" in score.receipt.message


def test_nothing_outside_its_own_folder_can_be_written(patient) -> None:
    ours = [str(path) for path in (Path.cwd(), Path(__file__).parent, Path.home()) if not path.is_relative_to("/tmp")]
    folders = ["/", "/program", "/usr", "/etc", "/dev", *ours]
    score = run(
        patient,
        f"""
        import os
        reward = 0.0
        for folder in {folders!r}:
            try:
                os.makedirs(folder, exist_ok=True)
                with open(folder + "/planted", "w") as file: file.write("x")
                reward += 1
            except OSError: pass
        open("mine", "w").close()
        """,
    )
    assert score.reward == 0.0, score.receipt


def test_files_are_limited_and_gone_afterwards(make_program_grader) -> None:
    grader = make_program_grader(disk_mb=8)
    score = run(grader, "for n in range(9):\n    with open(f'/tmp/{n}', 'wb') as file: file.write(bytes(2 << 20))")
    assert score.receipt.verdict is Verdict.ERROR
    assert "No space left on device" in score.receipt.message
    assert not Path("/tmp/work").exists()


def test_no_secret_can_be_read(patient) -> None:
    score = run(
        patient,
        f"""
        import glob, os
        found = [str(os.environ)]
        home = {str(Path.home())!r}
        for path in [*glob.glob("/proc/*/environ"), *glob.glob("/proc/*/cmdline")]:
            try: found.append(open(path, "rb").read().decode())
            except OSError: pass
        for folder, folders, files in os.walk("/"):
            folders[:] = [name for name in folders if name not in ("proc", "dev", "usr", "lib", ".pyenv")]
            found += files
            for name in files:
                try: found.append(open(os.path.join(folder, name), errors="replace").read(1000))
                except OSError: pass
        found += [name for name in os.listdir(home) if name != ".pyenv"] if os.path.exists(home) else []
        reward = float(any("{SECRET[:6]}" + "{SECRET[6:]}" in text for text in found) or ".bashrc" in found)
        print(len(found))
        """,
    )
    assert score.reward == 0.0, score.receipt
    assert int(score.receipt.stdout_tail) > 10


def test_no_process_of_the_host_can_be_seen(patient) -> None:
    score = run(patient, "import os; reward = float(len([name for name in os.listdir('/proc') if name.isdigit()]))")
    assert score.reward == 2.0


def test_no_address_can_be_reached_not_even_loopback(patient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        score = run(
            patient,
            f"""
            import socket
            reward = 0.0
            for address in [("127.0.0.1", {server.getsockname()[1]}), ("1.1.1.1", 53), ("169.254.169.254", 80)]:
                try:
                    socket.create_connection(address, timeout=5).close()
                    reward += 1
                except OSError: pass
            """,
        )
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert score.reward == 0.0


@pytest.mark.parametrize("folder", ["/tmp", ".", "/program"])
def test_a_planted_module_is_not_imported_later(patient, folder: str) -> None:
    run(patient, f"try: open('{folder}/planted_helper.py', 'w').write('x = 1')\nexcept OSError: pass")
    score = run(patient, "try: import planted_helper\nexcept ModuleNotFoundError: reward = 0.0")
    assert score.reward == 0.0


def test_threads_left_behind_are_ended(patient) -> None:
    leak = """
        import threading
        for _ in range({count}): threading.Thread(target=threading.Event().wait, daemon=True).start()
    """
    assert run(patient, leak.format(count=20)).reward == 1.0
    score = run(patient, leak.format(count=1000))
    assert score.receipt.verdict is Verdict.ERROR
    assert "can't start new thread" in score.receipt.message


def test_a_busy_thread_stands_still_between_calls(patient) -> None:
    score = patient.score(
        samples_of("""
            import os, threading
            class Spin(threading.Thread):
                def run(self):
                    while True: pass
            Spin(daemon=True).start()
        """)
    )[0]
    assert score.reward == 1.0
    worker = max(descendants(keepers(patient)[0]))
    until = time.monotonic() + 20
    while Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < until, "the process goes on between calls"
    assert run(patient, "import os; os._exit(1)").receipt.verdict is Verdict.ERROR


def test_the_clock_cannot_be_set(patient) -> None:
    score = run(patient, "import time; time.clock_settime(time.CLOCK_REALTIME, 0)")
    assert "raised PermissionError" in score.receipt.message
    assert time.time() > 1_700_000_000


@pytest.mark.parametrize(
    "call",
    [
        "libc.unshare(0x10000000)",
        "libc.syscall(319 if machine == 'x86_64' else 279, b'x', 0)",
        "libc.syscall(56 if machine == 'x86_64' else 220, 0x10000000 | 17, 0, 0, 0, 0)",
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc.ptrace(16, 1, 0, 0)",
    ],
    ids=["user namespace", "memory file", "clone", "mount", "trace"],
)
def test_ways_around_the_limits_are_refused_by_the_kernel(patient, call: str) -> None:
    code = "import ctypes, os\nmachine = os.uname().machine\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    score = run(patient, f"{code}status = {call}\nreward = float(ctypes.get_errno()) if status == -1 else 0.0")
    assert score.reward == 1.0  # EPERM


ODD_ANSWERS = {
    "runs code when unpickled": (
        "class Trick:\n    def __reduce__(self): return (print, ('run',))\nanswer = [Trick()]", "not JSON"
    ),
    "is very deep": ("answer = []\nfor _ in range(100000): answer = [answer]", r"RecursionError"),
    "is very deep in a body": ("answer = {'statusCode': 200, 'body': '[' * 100000 + ']' * 100000}", "not JSON"),
    "never ends": ("import itertools\nanswer = itertools.count()", "not JSON"),
    "is huge": ("answer = 'x' * (40 << 20)", "answered 40 MiB"),
    "is a huge number": ("answer = [{'id': 's-0', 'aggregate_reward_score': 10 ** 4000}]", "finite number"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD_ANSWERS)
def test_an_answer_is_plain_json_or_invalid(patient, case: str) -> None:
    code, text = ODD_ANSWERS[case]
    score = run(patient, code)
    assert score.receipt.verdict is Verdict.INVALID
    assert text in score.receipt.message


def test_an_answer_without_end_fills_only_its_own_memory(patient) -> None:
    assert run(patient, "answer = list(iter(int, 1))").receipt.verdict is Verdict.OOM
