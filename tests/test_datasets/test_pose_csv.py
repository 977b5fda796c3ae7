import numpy as np
import pytest

from pg2aug.datasets.reid.pose_csv import read_pose_csv

YS = list(range(10, 28))
XS = list(range(30, 48))


def row(name='0001_c1.jpg', ys=YS, xs=XS):
    return f'{name}: {ys}: {xs}'


def write(tmp_path, *lines, header='name:keypoints_y:keypoints_x'):
    path = tmp_path / 'poses.csv'
    path.write_text('\n'.join([header, *lines]) + '\n')
    return path


def test_y_comes_before_x_and_minus_one_is_missing(tmp_path):
    ys, xs = [*YS], [*XS]
    ys[4] = xs[4] = -1
    xs[7] = -1  # one coordinate of the two is enough
    (read,), malformed = read_pose_csv(write(tmp_path, row(ys=ys, xs=xs)))
    assert malformed == []
    assert (read.name, read.line) == ('0001_c1.jpg', 2)
    assert read.keypoints[0].tolist() == [30, 10]
    assert read.keypoints[17].tolist() == [47, 27]
    assert np.flatnonzero(~read.detected).tolist() == [4, 7]


def test_a_joint_at_the_origin_is_missing_and_counted(tmp_path):
    ys, xs = [*YS], [*XS]
    ys[4] = xs[4] = ys[9] = 0
    (read,), _ = read_pose_csv(write(tmp_path, row(ys=ys, xs=xs)))
    assert np.flatnonzero(~read.detected).tolist() == [4]
    assert read.at_origin == 1


def test_columns_are_those_that_the_header_names(tmp_path):
    path = write(tmp_path, row(ys=XS, xs=YS), header='name:keypoints_x:keypoints_y')
    (read,), _ = read_pose_csv(path)
    assert read.keypoints[0].tolist() == [30, 10]


def test_byte_order_marks_and_line_ends_of_windows(tmp_path):
    path = tmp_path / 'poses.csv'
    lines = ['name:keypoints_y:keypoints_x', row(), '', row('0002_c1.jpg'), '']
    path.write_bytes(b'\xef\xbb\xbf' + '\r\n'.join(lines).encode())
    rows, malformed = read_pose_csv(path)
    assert [(read.name, read.line) for read in rows] == [('0001_c1.jpg', 2), ('0002_c1.jpg', 4)]
    assert malformed == []


@pytest.mark.parametrize(
    ('line', 'reason'),
    [
        (row(ys=YS[:17], xs=XS[:17]), '17 joints, not 18'),
        (row(ys=YS[:17]), '17 keypoints_y but 18 keypoints_x'),
        (row(xs=['NaN', *XS[1:]]).replace("'", ''), 'keypoints_x of joint 0 is nan'),
        (
            row(ys=[*YS[:5], '-Infinity', *YS[6:]]).replace("'", ''),
            'keypoints_y of joint 5 is -inf',
        ),
        (row(ys=['10', *YS[1:]]).replace("'", '"'), 'keypoints_y of joint 0 is 10, not a coord'),
        (row(xs=[10**400, *XS[1:]]), 'keypoints_x of joint 0 is 1000'),
        (row(xs=['true', *XS[1:]]).replace("'", ''), 'keypoints_x of joint 0 is True'),
        ('0001_c1.jpg: [1 2 3]: [1, 2]', 'keypoints_y is no list of numbers'),
        ('0001_c1.jpg: 5: 6', 'keypoints_y is no list of numbers: 5'),
        ('0001_c1.jpg: ' + '[' * 100_000 + ': []', 'recursion'),
        ('0001_c1.jpg: [1, 2', '2 fields separated by colons, not 3'),
        (row('../0001_c1.jpg'), 'is no name of a file within the image folder'),
        (row('/0001_c1.jpg'), 'is no name of a file within the image folder'),
        (row(''), 'is no name of a file within the image folder'),
    ],
)
def test_a_bad_row_is_told_with_its_line_and_stops_nothing(tmp_path, line, reason):
    rows, (bad,) = read_pose_csv(write(tmp_path, row('0001_c1.jpg'), line, row('0002_c1.jpg')))
    assert [read.name for read in rows] == ['0001_c1.jpg', '0002_c1.jpg']
    assert (bad.file, bad.line) == ('poses.csv', 3)
    assert reason in bad.reason


def test_a_row_that_is_no_text_is_told(tmp_path):
    path = write(tmp_path, row())
    with path.open('ab') as file:
        file.write(row('000\xff_c1.jpg').encode('latin-1') + b'\n')
    rows, (bad,) = read_pose_csv(path)
    assert len(rows) == 1
    assert bad.line == 3
    assert 'invalid start byte' in bad.reason


@pytest.mark.parametrize('header', ['from,to', 'name,keypoints_y,keypoints_x', row(), ''])
def test_another_file_is_refused(tmp_path, header):
    path = tmp_path / 'poses.csv'
    path.write_text(header)
    with pytest.raises(
        ValueError, match=r"poses\.csv begins with .* 'name:keypoints_y:keypoints_x"
    ):
        read_pose_csv(path)
    with pytest.raises(FileNotFoundError, match=r"no annotation file '.*none\.csv'"):
        read_pose_csv(tmp_path / 'none.csv')
