import pytest

from pg2aug.annotation import csv_identities, folder_identities
from pg2aug.datasets.conversion_report import ConversionReport, describe_findings

PATHS = ['alice/1.jpg', 'alice/2.jpg', 'bob/1.jpg', 'bob/3.jpg']


@pytest.fixture
def report():
    return ConversionReport()


def lines(report):
    return '\n'.join(describe_findings(report.left_out))


def test_each_folder_is_a_person_by_its_whole_path(report):
    paths = ['train/alice/1.jpg', 'train/alice/2.jpg', 'test/alice/1.jpg', 'carol.x/1.jpg']
    assert list(folder_identities(paths, report).values()) == [
        *('train/alice', 'train/alice', 'test/alice', 'carol.x')
    ]
    assert not report.left_out


def test_images_beside_the_folders_are_reported(report):
    people = folder_identities([*PATHS, 'cover.jpg'], report)
    assert list(people) == PATHS
    assert 'images in no folder of a person\n    cover.jpg: ' in lines(report)


def test_images_in_no_folder_at_all_are_an_error(report):
    with pytest.raises(ValueError, match=r'all 2 images lie directly.*--identities'):
        folder_identities(['1.jpg', '2.jpg'], report)


def test_a_csv_says_who_is_who(report, tmp_path):
    (tmp_path / 'who.csv').write_text(
        'camera,file_name,person_id\n1,alice/1.jpg,7\n1,alice/2.jpg,7\n2,3.jpg,07\n2,bob/1.jpg,7\n'
    )
    people = csv_identities(tmp_path / 'who.csv', PATHS, report)
    assert people == {PATHS[0]: '7', PATHS[1]: '7', PATHS[2]: '7', PATHS[3]: '07'}
    assert not report.left_out


def test_what_does_not_go_together_is_reported(report, tmp_path):
    (tmp_path / 'who.csv').write_text(
        'file_name,person_id\nalice/1.jpg,a\nalice/2.jpg\n,b\n1.jpg,b\nmissing.jpg,c\n'
        'alice/1.jpg,a\nbob/1.jpg,b\nbob/1.jpg,d\n'
    )
    assert csv_identities(tmp_path / 'who.csv', PATHS, report) == {'alice/1.jpg': 'a'}
    text = lines(report)
    assert 'who.csv:3: alice/2.jpg: lacks person_id' in text
    assert 'who.csv:4: lacks file_name' in text
    assert 'who.csv:5: 1.jpg: the end of several file names' in text
    assert 'who.csv:6: missing.jpg: is no image in the folder' in text
    assert "who.csv:9: bob/1.jpg: is 'b' before" in text
    assert '1 images of two people\n    bob/1.jpg: ' in text
    assert '2 images without a person\n    alice/2.jpg: ' in text


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'name,id\n1.jpg,a\n', r'who\.csv is no identity file: it begins with .name,id.'),
        (b'', r'who\.csv is no identity file'),
        (b'file_name,person_id\n\xff\xfe,a\n', r'who\.csv is no identity file'),
        (b'file_name,person_id\nother.jpg,a\n', r'who\.csv names none of the 4 images'),
    ],
)
def test_other_files_are_refused(report, tmp_path, content, message):
    (tmp_path / 'who.csv').write_bytes(content)
    with pytest.raises(ValueError, match=message):
        csv_identities(tmp_path / 'who.csv', PATHS, report)
    with pytest.raises(FileNotFoundError, match=r'there is no identity file .*absent\.csv'):
        csv_identities(tmp_path / 'absent.csv', PATHS, report)
