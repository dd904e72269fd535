"""The faults that delivery must survive, each with a test that shows it.

The rules of this folder:

- One file for each theme. A test is named ``test_fault_NN_<words>``, with the fault's number. The
  first sentence of its docstring says what it shows; ``make proofs`` puts it into
  docs/reference/proofs.md, and a unit test fails while that page is stale.
- No mock. The sandbox stands behind a socket, brokers are real servers (or a `Proxy` in front of
  one), databases are real, other processes are real.
- A test enters by a public door: saves of shop models, ``talon.*``, commands, Celery tasks.
- Processes are killed with SIGKILL while the sandbox parks their call, or while an entry of
  ``entries.py``, which only tests start, holds them. The package has no crash points.
- A test waits on conditions, never for a fixed time, and asserts no speed.
- It runs on PostgreSQL, MariaDB and SQLite alike, unless it is marked with
  ``@pytest.mark.databases("postgresql")``; names are those of Django's backends.
- Each rule in ``without.py`` is taken out, one at a time, and the test that stands for it has to
  fail: ``test_rules_taken_out.py`` does so with the quick ones at every run, and with all in
  ``make nightly``. Of the other tests nothing of that kind is claimed.

The fixtures are in ``conftest.py`` here and in the folder above: ``processes``, ``talon``,
``redis``, ``rabbitmq``, ``broker``, ``proxy``, ``worker``, ``beat``, ``relay``.
"""
