"""Runs one module of CPython's regression tests, natively or in an image, and tells each test's outcome on standard error:
lines that begin with @@ and hold JSON.

usage: cpython_guest.py MODULE SECONDS [TEST TO LEAVE OUT...]
"""

import faulthandler
import json
import os
import sys
import tempfile
import traceback

module, seconds, left_out = sys.argv[1], float(sys.argv[2]), set(sys.argv[3:])
report = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")


def tell(**what):
    report.write("\n@@" + json.dumps(what) + "\n")


# Whether the test that runs asked for another process, which kernlet refuses whatever the test is about, and the events by
# which that is known.
forked = False
FORKS = {"os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "os.spawn", "subprocess.Popen", "pty.spawn"}


def hook(name, args):
    global forked
    if name in FORKS and not forked:
        forked = True
        tell(forked=name)


sys.addaudithook(hook)
import unittest  # noqa: E402
from test import support  # noqa: E402
from test.libregrtest import setup as regrtest_setup  # noqa: E402


class Result(unittest.TestResult):
    """Tells each test's worst outcome."""

    def startTest(self, test):
        global forked
        super().startTest(test)
        forked = False
        self.outcome, self.reason = "ok", ""
        tell(start=test.id())
        faulthandler.dump_traceback_later(seconds, exit=True, file=report)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)
        tell(test=test.id(), outcome=self.outcome, reason=self.reason[-6000:], forked=forked)

    def note(self, outcome, reason):
        if self.outcome in ("ok", "skipped", "expected failure") or outcome == "error":
            self.outcome = outcome
        self.reason += reason

    def outside(self, test, outcome, reason):
        """Of setUpClass and the like, which are no tests."""
        if isinstance(test, unittest.TestCase):
            return self.note(outcome, reason)
        tell(test=test.id(), outcome=outcome, reason=reason[-6000:], forked=forked)

    def addError(self, test, err):
        self.outside(test, "error", self._exc_info_to_string(err, test))

    def addFailure(self, test, err):
        self.outside(test, "failure", self._exc_info_to_string(err, test))

    def addSubTest(self, test, subtest, err):
        if err is not None:
            kind = "failure" if issubclass(err[0], test.failureException) else "error"
            self.note(kind, str(subtest) + "\n" + self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        self.outside(test, "skipped", reason)

    def addExpectedFailure(self, test, err):
        self.note("expected failure", "")

    def addUnexpectedSuccess(self, test):
        self.note("unexpected success", "")


def run_suite(suite):
    result = Result()
    suite.run(result)


def main():
    global forked
    ns = type("Namespace", (), {})()
    ns.testdir = ns.huntrleaks = ns.memlimit = ns.threshold = ns.xmlpath = None
    ns.verbose, ns.timeout = 1, seconds
    ns.use_resources = ["cpu", "decimal", "network", "subprocess", "tzdata"]
    regrtest_setup.setup_tests(ns)
    support.verbose = 1
    support._run_suite = run_suite
    support.match_test = lambda test: test.id() not in left_out
    folder = os.path.realpath(tempfile.mkdtemp(prefix="suite-"))
    os.chdir(folder)
    support.os_helper = __import__("test.support.os_helper", fromlist=["os_helper"])
    support.os_helper.SAVEDCWD = folder
    tell(begin=module)
    try:
        __import__("test." + module)
        tests = sys.modules["test." + module]
        if hasattr(tests, "test_main"):
            tests.test_main()
        else:
            support.run_unittest(unittest.TestLoader().loadTestsFromModule(tests))
    except unittest.SkipTest as skip:
        tell(test="(module)", outcome="skipped", reason=str(skip), forked=forked)
    except BaseException:
        tell(test="(module)", outcome="error", reason=traceback.format_exc()[-6000:], forked=forked)
    tell(end=module)
    faulthandler.dump_traceback_later(seconds, exit=True, file=report)


main()
