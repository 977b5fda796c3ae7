"""An expansion from Python leaves the interpreter's settings as they were."""

import sys

import pytest

from pg2aug.expansion.write.output_folder import OutputFolder

ODD_SECONDS = 0.0031


@pytest.fixture
def interval():
    before = sys.getswitchinterval()
    sys.setswitchinterval(ODD_SECONDS)
    yield lambda: pytest.approx(ODD_SECONDS, abs=1e-6) == sys.getswitchinterval()
    sys.setswitchinterval(before)


def test_the_switch_interval_is_shorter_while_threads_work_and_then_as_before(
    synthesize, interval, monkeypatch
):
    meanwhile, write = [], OutputFolder.write

    def watch(self, path, data):
        meanwhile.append(sys.getswitchinterval())
        write(self, path, data)

    monkeypatch.setattr(OutputFolder, 'write', watch)
    assert synthesize('--no-report', num=2)[0] == 0
    assert min(meanwhile) < ODD_SECONDS / 10
    assert interval()


def test_the_switch_interval_is_as_before_after_an_error(synthesize, interval, monkeypatch):
    def fail(self, path, data):
        if path.suffix == '.jpg':
            raise RuntimeError('no more images')
        write(self, path, data)

    write = OutputFolder.write
    monkeypatch.setattr(OutputFolder, 'write', fail)
    with pytest.raises(RuntimeError, match='no more images'):
        synthesize('--no-report', num=2)
    assert interval()
